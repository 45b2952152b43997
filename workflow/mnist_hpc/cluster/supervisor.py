"""What runs in the job of ``make node``: Snakemake, and the answers to Slurm's signals.

SIGUSR1 means that the time limit is near: the trainings save their state, and the job goes back into the queue. SIGTERM
means that the job was cancelled or preempted: they save it too, and Slurm decides whether the job returns.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from mnist_hpc.cluster import attempts, main_process, node, slurm
from mnist_hpc.cluster.main_process import MainProcess
from mnist_hpc.console import say
from mnist_hpc.errors import UserError
from mnist_hpc.files.provenance import now
from mnist_hpc.study.specification import Study
from mnist_hpc.training import gpu_slots

LOCKS = Path(".snakemake/locks")
# Time between signs of life of the main process, s.
LIFE_SECONDS = 10.0
# Time for the trainings and Snakemake to end after a signal, s.
SAVE_SECONDS = 120.0


def take_over(own: str = "") -> None:
    """Remove the locks that a lost main process left in this folder.

    Args:
        own: Number of the job that calls this. It may have been killed and started again by Slurm.

    Raises:
        UserError: A main process is alive elsewhere or, before a job is submitted, a lost one left jobs.
    """
    lost = main_process.refuse_second(own)
    if not own:
        main_process.refuse_left(main_process.jobs_of(Path.cwd()))
    if not lost:
        return
    # A lock that is much newer than the last sign of life belongs to somebody else.
    last = main_process.FILE.stat().st_mtime + 2 * LIFE_SECONDS
    for lock in LOCKS.glob("*.lock"):
        if lock.stat().st_mtime <= last:
            lock.unlink(missing_ok=True)


def run(command: Sequence[str], study: Study, results: Path) -> int:
    """Run Snakemake in this job until it ends or a signal comes, and return its exit code.

    Args:
        command: The command line of Snakemake.
        study: The study.
        results: Folder of all results.

    Raises:
        UserError: The time limit came again without progress since the last time.
    """
    received = _signals()
    number = attempts.job()
    take_over(number)
    MainProcess(run=node.NAME).write()
    before, since = _state(study, results), now()
    code = _watch(subprocess.Popen(command, process_group=0), received)  # noqa: S603
    if signal.SIGTERM in received:
        say("The job was cancelled or preempted; its trainings were saved. `make node` continues them.")
        return code  # the file of the main process stays, as Slurm may start a preempted job again
    if code and signal.SIGUSR1 in received:
        if _state(study, results) == before and not any(
            attempts.advanced(results / work.record, since) for work in study.works
        ):
            _end()
            raise UserError(
                "the time limit was reached again without progress since the last time; raise it with "
                "`make node MINUTES=...`, or see the logs of the trainings"
            )
        _continue(number)
        return code
    for work in study.works:
        attempts.killed(results / work.record, number)
    _end()
    return code


def _signals() -> list[int]:
    """Catch the signals of Slurm from now on; return the list to which they are appended."""
    received: list[int] = []
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, lambda number, _: received.append(number))
    return received


def _state(study: Study, results: Path) -> dict[str, int]:
    """Return when each result of the study was written, by path, ns since the epoch."""
    files = [*study.files, *(file for sweep in study.sweeps.values() for part in sweep.parts for file in part.files)]
    found = {}
    for file in files:
        with contextlib.suppress(OSError):
            found[file] = (results / file).stat().st_mtime_ns
    return found


def _watch(process: subprocess.Popen[bytes], received: Sequence[int]) -> int:
    """Wait for the end of Snakemake, or end it when a signal has come; return its exit code."""
    shown = 0.0
    while process.poll() is None:
        if received:
            _stop(process)
            break
        if time.monotonic() - shown >= LIFE_SECONDS:
            shown = time.monotonic()
            main_process.show_life()
        time.sleep(1)
    return process.wait()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask Snakemake and its jobs to end, and wait until they have."""
    say("Asking the trainings to save their state.")
    asked: set[int] = set()
    end = time.monotonic() + SAVE_SECONDS
    while process.poll() is None:
        if time.monotonic() >= end:
            say(f"Snakemake did not end within {SAVE_SECONDS:g} s and is killed.")
            os.killpg(process.pid, signal.SIGKILL)
            break
        # Not once for the whole group, as Snakemake may be starting another job meanwhile.
        for member in _group(process.pid) - asked:
            asked.add(member)
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGTERM)
        time.sleep(1)


def _group(leader: int) -> set[int]:
    """Return the processes of a process group."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            _, _, fields = path.read_text().rpartition(")")
            if int(fields.split()[2]) == leader:
                found.add(int(path.parent.name))
    return found


def _continue(number: str) -> None:
    """Put this job back into the queue; where the site does not allow that, submit the next one."""
    # Slurm ends this process when the job is requeued. It then delays the job, for two minutes by default;
    # changing that from here has no effect, as the delay begins when all processes have ended.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        slurm.ask("scontrol", "requeue", number)
        say("The time limit is near: the job went back into the queue and continues there.")
    except UserError as error:
        following = node.submit()
        say(f"The time limit is near, and Slurm requeues no job ({error}): job {following} continues.")


def _end() -> None:
    """Remove what this job left for others to see."""
    main_process.remove()
    shutil.rmtree(gpu_slots.folder(), ignore_errors=True)
