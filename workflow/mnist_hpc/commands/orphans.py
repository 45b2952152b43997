"""Show the jobs that a killed main process left in the queue; wait for them, cancel them, or keep them."""

import argparse
import time
from pathlib import Path

from mnist_hpc.cluster import main_process, slurm
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.waiting import News, Waiting, away
from mnist_hpc.console import say
from mnist_hpc.errors import UserError
from mnist_hpc.tables.text import counted


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--then", choices=("wait", "cancel", "adopt"), help="what to do with the jobs")
    text = "print only the files that these jobs will write, for --omit-from"
    parser.add_argument("--files", action="store_true", help=text)
    text = "folder of the profile, which says how often to look at the queue"
    parser.add_argument("--profile", type=Path, required=True, help=text)
    text = "act even if the main process seems to run on another host"
    parser.add_argument("--although-alive", action="store_true", help=text)


def run(then: str | None, profile: Path, *, files: bool, although_alive: bool) -> None:
    """Print the jobs, then do what ``then`` says; raise UserError if it says nothing or the main process is alive."""
    folder, settings = Path.cwd(), Profile(profile).settings
    left = main_process.jobs_of(folder)
    if files:
        print(*(f"results/{name}" for work in left.values() for name in work.files))
        return
    main = main_process.read(folder)
    if main and although_alive:
        main_process.declare_lost(folder)
    elif main and (place := main.alive(folder)):
        raise UserError(
            f"the workflow of this folder is running: {place}; leave it, or end it there with Ctrl-C"
            + ("" if main.here else "; if it is certainly gone, add FORCE=1")
        )
    for job, work in left.items():
        print(f"{job}, {work}")
    if not left:
        print("No jobs of an earlier run are left in the queue.")
    elif then is None:
        raise UserError(
            f"an earlier run left {counted(len(left), 'job')}; add ORPHANS=wait (continue when they have ended), "
            "ORPHANS=cancel (they save their state and new jobs continue them) or ORPHANS=adopt (run the others "
            "meanwhile)"
        )
    elif then != "adopt":
        if then == "cancel":
            slurm.cancel(*(job.number for job in left))
        _await(folder, settings.get("seconds-between-status-checks", 10))


def _await(folder: Path, seconds: float) -> None:
    """Wait until no job of a workflow is in the queue, and say why jobs wait."""
    waiting, news, left = Waiting(), News(), True
    while left:
        try:
            jobs = main_process.jobs_of(folder)
            left = bool(jobs)
            for line in waiting.lines(jobs):
                say(line)
        except UserError as error:
            if news.is_new(str(error)):
                say(away(error))
        if left:
            time.sleep(seconds)
