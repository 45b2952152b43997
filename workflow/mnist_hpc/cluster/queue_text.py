"""What ``make status`` says about the main process and its jobs in the queue."""

import shutil
from collections import Counter
from pathlib import Path

from mnist_hpc.cluster import main_process, reasons, slurm
from mnist_hpc.cluster.main_process import MainProcess
from mnist_hpc.errors import UserError
from mnist_hpc.tables.text import counted


def lines(folder: Path, *, locked: bool) -> list[str]:
    """Return where the main process of a folder runs, and what its jobs in the queue do; nothing if there is neither.

    Args:
        folder: Folder of the workflow.
        locked: Whether Snakemake's locks of the folder exist.
    """
    main = main_process.read(folder)
    try:
        # Without the folder of logs, nothing was ever submitted from here.
        found = _jobs(folder) if shutil.which("squeue") and (folder / slurm.LOGS).is_dir() else []
        if main and (main.job or found or locked or main.alive(folder)):
            return [_place(main, folder, left=bool(found)), *found]
        return [*_unlock(locked=locked, jobs=bool(found)), *found]
    except UserError as error:
        known = [] if main is None or main.job else [_place(main, folder, left=True)]
        return [*known, f"Slurm does not answer, so what is in the queue is not known: {error}"]


def _place(main: MainProcess, folder: Path, *, left: bool) -> str:
    """Return where the main process runs, or that it is lost."""
    if main.job:
        return _node_job(main.job)
    if place := main.alive(folder):
        return f"The workflow is running: {place}."
    jobs = ", and jobs of it are still in the queue" if left else ""
    return (
        f"The main process (process {main.process} on {main.host}) is lost{jobs}; `make resume PROFILE=…` continues "
        "its work."
    )


def _node_job(number: str) -> str:
    """Return what the job is doing in which the main process runs."""
    if not shutil.which("squeue"):
        return f"The workflow runs, or ran, in job {number}; Slurm is not on this machine."
    shown = slurm.ask("squeue", "--me", "--noheader", "--format=%A|%T|%N|%r|%S|%M|%l")
    for line in shown.splitlines():
        found, state, nodes, reason, start, used, limit = line.split("|")
        if found != number:
            continue
        if state == "PENDING":
            return f"The workflow waits in the queue as job {number}. {_why(reason)}"
        return f"The workflow is running: job {number} on {nodes} since {start.replace('T', ' ')}, {used} of {limit}."
    return f"The workflow ran in job {number}, which has left the queue; `make node` continues its work."


def _jobs(folder: Path) -> list[str]:
    """Return how many jobs of a folder run and wait, and why; advice for each reason that does not pass by itself."""
    jobs = list(main_process.jobs_of(folder))
    waiting = [job for job in jobs if job.waits]
    if not jobs:
        return []
    found = [f"In the queue: {counted(len(jobs) - len(waiting), 'job')} running, {len(waiting)} waiting."]
    for reason, count in Counter(job.reason for job in waiting).most_common():
        numbers = [job.number for job in waiting if job.reason == reason]
        found.append(f"  {count} waiting, such as job {numbers[0]}: {_why(reason)}")
    return found


def _why(reason: str) -> str:
    """Return a reason with its meaning, or with what to do if it does not pass by itself."""
    advice = reasons.advice(reason)
    return f"It will not start ({reason}): {advice}." if advice else f"{reasons.explained(reason)}."


def _unlock(*, locked: bool, jobs: bool) -> list[str]:
    """Return what to do about the locks of a folder in which no cluster's main process was recorded."""
    if not locked:
        return []
    todo = "`make resume PROFILE=…` says what to do" if jobs else "run snakemake --unlock and start the workflow again"
    text = (
        "This folder is locked: either a workflow is running here, or its main process was killed. In the latter case, "
    )
    return [f"{text}{todo}."]
