"""Show the jobs that a killed main process left in the queue; wait for them, cancel them, or keep them."""

import argparse
from pathlib import Path

from mnist_hpc.cluster import slurm
from mnist_hpc.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--then", choices=("wait", "cancel", "adopt"), help="what to do with them")
    parser.add_argument(
        "--files", action="store_true", help="print only the files that they will write, for --omit-from"
    )


def run(then: str | None, *, files: bool) -> None:
    """Print the jobs, then do what ``then`` says; raise UserError if it says nothing or the main process is alive."""
    folder = Path.cwd()
    left = slurm.jobs_of(folder)
    if files:
        print(*(f"results/{name}" for job in left for name in job.work.files))
        return
    if process := slurm.main_process(folder):
        raise UserError(f"process {process} is running the workflow of this folder; leave it, or end it with Ctrl-C")
    for job in left:
        print(job)
    if not left:
        print("No jobs of an earlier run are left in the queue.")
    elif then is None:
        raise UserError(
            f"{len(left)} jobs are left; add ORPHANS=wait (continue when they have ended), ORPHANS=cancel (they save "
            "their state and new jobs continue them) or ORPHANS=adopt (run the others meanwhile)"
        )
    elif then != "adopt":
        if then == "cancel":
            slurm.ask("scancel", *(job.number for job in left))
        slurm.wait_for(folder)
