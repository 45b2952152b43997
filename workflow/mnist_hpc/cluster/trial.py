"""A short job on a compute node, submitted as those of a study are, that tries TensorFlow there."""

import contextlib
import json
import os
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnist_hpc.cluster import container, reasons, slurm
from mnist_hpc.cluster.findings import Finding, Level
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError
from mnist_hpc.tables.text import duration

# Time limit of the job, minutes, of which the first start of TensorFlow on a slow file system may need some; and how
# often the queue is looked at, s.
MINUTES = 10
PAUSE = 2.0
SUBJECT = "trial job"
# Like a job of Snakemake: first the profile's own commands, then a step without the variables of the batch step.
SCRIPT = r"""#!/bin/sh
{before}
unset $(env | grep -o '^\(SLURM\|SRUN\|SBATCH\)_[A-Z0-9_]*=' | tr -d = | grep -vx 'SLURM_JOB_\?ID')
srun -n1 --cpu-bind=q --nodes=1 {command}
"""
# For the Python of a container, which may be too old to start the package.
CHECK_PYTHON = (
    "import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("
    "'mnist_hpc: error: found Python %d.%d in the container, expected 3.11 to 3.13; use another image' % v)"
)


class Trial:
    """A trial job.

    Attributes:
        folder: Folder on the shared file system for its files, which both sides write and read.
    """

    def __init__(self, profile: Profile, folder: Path) -> None:
        self.folder = folder
        self._profile = profile
        self._name = f"mnist_doctor_{os.getpid()}"
        self._secret = secrets.token_hex()
        self._answer, self._log = folder / "answer.json", folder / "log.txt"

    def submit(self, request: Request) -> str:
        """Submit the job and return its number; raise UserError if Slurm refuses it."""
        (self.folder / "question.txt").write_text(self._secret)
        gpu = int(self._profile.of_rule("train").get("require_gpu", 0))
        python = shlex.join(container.python(sys.executable))
        paths = shlex.join([f"--question={self.folder / 'question.txt'}", f"--answer={self._answer}"])
        command = f"{python} -m mnist_hpc probe --require-gpu {gpu} {paths}"
        before = []
        if precommand := self._precommand():
            before.append(f"{{ {precommand}\n}} || {{ echo 'the precommand of the profile failed'; exit 1; }}")
        if container.image():
            before.append(f"{python} -c {shlex.quote(CHECK_PYTHON)} || exit 1")
        script = SCRIPT.format(before="\n".join(before), command=command)
        # No signal before the end: the job has nothing to save.
        kept = tuple(option for option in request.options if not option.startswith("--signal"))
        short = Request(MINUTES, request.mem_mb, request.cpus, kept)
        options = (f"--job-name={self._name}", f"--output={self._log}", "--export=ALL", *short.arguments)
        return slurm.ask("sbatch", "--parsable", *options, stdin=script).splitlines()[-1].partition(";")[0]

    def _precommand(self) -> str:
        """Return the profile's commands before a job, with variables of this host as the Slurm plugin passes them."""
        command = str(self._profile.settings.get("precommand") or "")
        if not command or self._profile.settings.get("mnist-slurm-pass-command-as-script"):
            return command
        escaped = command.replace('"', r"\"")
        return slurm.ask("sh", "-c", f'printf %s "{escaped}"')

    def wait(self, number: str, seconds: float) -> slurm.Job | None:
        """Wait until the job has ended, or has waited for so many seconds; return what Slurm then knows of it."""
        begin = time.monotonic()
        while True:
            job = slurm.queue("--states=all", f"--name={self._name}").get(number)
            if job is None or job.state not in slurm.UNDER_WAY or self.answered:
                return job
            waited = time.monotonic() - begin
            if job.waits and (reasons.advice(job.reason) or waited > seconds):
                return job
            if waited > seconds + 60 * (MINUTES + 2):  # Slurm should have ended it
                return job
            time.sleep(PAUSE)

    @property
    def answered(self) -> bool:
        """Whether what the job wrote is here."""
        return self._answer.exists()

    def answer(self) -> dict[str, Any] | None:
        """Return what the job wrote; None if that does not appear here."""
        return dict(json.loads(self._answer.read_text())) if self._appears(self._answer) else None

    def error(self) -> str:
        """Return what the log of a failed job says, on one line."""
        if not self._appears(self._log):
            return f"its log does not appear in {self.folder}: does the compute node see this folder?"
        return "; ".join(slurm.sentence(self._log.read_text(errors="replace")).split("; ")[-5:])

    def _appears(self, path: Path) -> bool:
        """Return whether a file of the job appears here in the time that the profile allows files."""
        end = time.monotonic() + float(self._profile.settings.get("latency-wait", 60))
        while path not in self.folder.iterdir():  # listing the folder makes NFS look again
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    def saw(self, found: dict[str, Any]) -> bool:
        """Return whether the job read what was written here."""
        return found["question"] == self._secret

    def cancel(self) -> None:
        """Cancel the job if it is still there."""
        with contextlib.suppress(UserError):
            slurm.cancel(f"--name={self._name}")


def examine(request: Request, profile: Profile, results: Path, wait: int) -> Iterator[Finding]:
    """Yield what a short job finds on a compute node; it may wait so many seconds for one."""
    folder = results.absolute() / f".doctor-{os.getpid()}"
    folder.mkdir(parents=True)
    trial = Trial(profile, folder)
    begin = time.monotonic()
    try:
        yield from _ended(trial, trial.wait(trial.submit(request), wait), request, wait, begin)
    except UserError as error:
        passes = reasons.passes(str(error))
        yield Finding(SUBJECT, f"{error}{'; not a fault, try later' * passes}", Level.NOTE if passes else Level.FIX)
    finally:
        trial.cancel()
        shutil.rmtree(folder, ignore_errors=True)


def _ended(trial: Trial, job: slurm.Job | None, request: Request, wait: int, begin: float) -> Iterator[Finding]:
    """Yield what the end of the trial job means."""
    if job and job.waits:
        if advice := reasons.advice(job.reason):
            yield Finding(SUBJECT, f"it will not start ({job.reason}): {advice}", Level.FIX)
            return
        text = f"no node free within {wait} s: not a fault ({reasons.explained(job.reason)}); to wait longer: WAIT=600"
        yield Finding(SUBJECT, text, Level.NOTE)
        return
    if job and job.state not in ("COMPLETED", "RUNNING", "COMPLETING"):
        where = f" on {job.nodes}" if job.nodes else ""
        yield Finding(SUBJECT, f"it ended as {job.state}{where}: {trial.error()}", Level.FIX)
        return
    if job and job.state == "RUNNING" and not trial.answered:
        yield Finding(SUBJECT, f"it still runs on {job.nodes} after {MINUTES} minutes and was cancelled", Level.FIX)
        return
    seen = time.monotonic()
    found = trial.answer()
    if found is None:
        text = f"the job ended, but its file did not appear in {trial.folder}: is the folder shared?"
        yield Finding("shared files", text, Level.FIX)
        return
    late, total = time.monotonic() - seen, duration(time.monotonic() - begin)
    yield Finding(
        SUBJECT,
        "TensorFlow {tensorflow} on {host}, {device}: started in {start:.1f} s, trained a convolution in "
        "{convolution:.1f} s, compiled and ran an XLA program in {xla:.1f} s".format(**found, **found["seconds"])
        + f"; the whole job took {total}",
    )
    if request.gpus and found["device"].startswith("CPU"):
        yield Finding(SUBJECT, "it requested a GPU and TensorFlow used the CPU (require_gpu is 0)", Level.NOTE)
    if trial.saw(found):
        yield Finding("shared files", f"this host and {found['host']} see the same files, {late:.0f} s later at most")
    else:
        yield Finding("shared files", f"{found['host']} does not see what this host wrote", Level.FIX)
