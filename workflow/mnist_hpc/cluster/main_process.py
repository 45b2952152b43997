"""The main process of a workflow on a cluster: a file says where it runs and which jobs it submitted.

The file is on the shared file system, so that any login node can read it. It is removed when the main process ends, and
stays if that was killed. While the main process lives, it updates the file's time stamp.
"""

import contextlib
import json
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mnist_hpc.cluster import slurm
from mnist_hpc.errors import UserError
from mnist_hpc.files.atomic import write_text
from mnist_hpc.study import layout
from mnist_hpc.tables.text import counted, duration

FILE = slurm.LOGS / "main.json"
# A main process on another host that has not updated its file for this long is lost.
SILENT_SECONDS = 600.0


@dataclass
class MainProcess:
    """A main process.

    Attributes:
        host: Host on which it runs.
        process: Its process id there.
        run: Name of the jobs that it submits.
        job: Number of the Slurm job that it runs in; empty on a login node.
        works: What each job works on, as the wildcards of its rule, by job number.
    """

    host: str = field(default_factory=platform.node)
    process: int = field(default_factory=os.getpid)
    run: str = ""
    job: str = field(default_factory=lambda: os.environ.get("SLURM_JOB_ID", ""))
    works: dict[str, dict[str, str]] = field(default_factory=dict)

    def write(self, folder: Path = Path()) -> None:
        """Write the file of a workflow's folder."""
        write_text(folder / FILE, json.dumps(vars(self), indent=1) + "\n")

    def work(self, number: str) -> layout.Work | None:
        """Return what a job works on; None if the file does not know the job."""
        return layout.of_wildcards(self.works[number]) if number in self.works else None

    @property
    def here(self) -> bool:
        """Whether it runs, or ran, on this host and outside of a job."""
        return not self.job and self.host == platform.node()

    def alive(self, folder: Path = Path()) -> str | None:
        """Return where the main process runs, as text; None if it is lost.

        Raises:
            UserError: Slurm does not answer the question whether its job is in the queue.
        """
        if self.job:
            job = slurm.queue().get(self.job)
            return str(job) if job else None
        if self.here:
            return f"process {self.process} on this host" if _runs(self.process, folder) else None
        silent = max(time.time() - (folder / FILE).stat().st_mtime, 0.0)
        here = f"process {self.process} on {self.host}, last heard of {duration(silent)} ago"
        return here if silent <= SILENT_SECONDS else None


def read(folder: Path = Path()) -> MainProcess | None:
    """Return the main process that the file of a workflow's folder names; None if there is no file."""
    try:
        return MainProcess(**json.loads((folder / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def refuse_second(own: str = "", folder: Path = Path()) -> MainProcess | None:
    """Return the lost main process of a workflow's folder, or the one of a job; None if there was none.

    Args:
        own: Number of a job that may go on.
        folder: Folder of the workflow.

    Raises:
        UserError: A main process is alive, and is not that of the job.
    """
    main = read(folder)
    if main and not (own and main.job == own) and (place := main.alive(folder)):
        raise UserError(
            f"the workflow of this folder is running: {place}; `make status` shows how far it is, and "
            + (f"`scancel {main.job}` ends it" if main.job else "Ctrl-C ends it there")
            + ("" if main.job or main.here else "; if it is certainly gone: `make resume PROFILE=… FORCE=1`")
        )
    return main


def declare_lost(folder: Path = Path()) -> None:
    """Let the main process of another host count as lost from now on."""
    os.utime(folder / FILE, (0.0, 0.0))


def known_works(folder: Path = Path()) -> dict[str, dict[str, str]]:
    """Return what those jobs of the last main process work on that are still in the queue."""
    main = read(folder)
    return {number: main.works[number] for number in main.works.keys() & slurm.queue().keys()} if main else {}


def show_life(folder: Path = Path()) -> None:
    """Update the time stamp of the file."""
    with contextlib.suppress(OSError):  # the next time will do
        (folder / FILE).touch()


def remove(folder: Path = Path()) -> None:
    """Remove the file."""
    (folder / FILE).unlink(missing_ok=True)


def jobs_of(folder: Path) -> dict[slurm.Job, layout.Work]:
    """Return the user's jobs in the queue that train for the workflow of a folder, with what they work on."""
    main = read(folder)
    found = {}
    for number, job in slurm.queue().items():
        if Path(job.folder).resolve() != folder.resolve():
            continue
        work = main.work(number) if main else None
        if work is None:  # its main process was killed before it wrote the number down
            with contextlib.suppress(UserError):  # the job has ended meanwhile
                work = layout.find(slurm.ask("scontrol", "write", "batch_script", number, "-"))
        if work:
            found[job] = work
    return found


def refuse_left(jobs: Mapping[slurm.Job, layout.Work]) -> None:
    """Raise UserError if an earlier main process left jobs that do work which is about to be submitted again."""
    if jobs:
        first = next(f"{job}, {work}" for job, work in jobs.items())
        raise UserError(
            f"this work is still done by {counted(len(jobs), 'job')} of an earlier main process, such as {first}; "
            "`make resume PROFILE=…` waits for them, cancels or adopts them"
        )


def _runs(process: int, folder: Path) -> bool:
    """Return whether a process of this machine is Snakemake's, and works in a folder."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
        here = Path(f"/proc/{process}/cwd").resolve() == folder.resolve()
    except OSError:
        return False  # it has ended
    return here and any(Path(word).name == "snakemake" for word in words[:3])
