"""Check from the login node whether the cluster is ready for the study, before any job is submitted."""

import contextlib
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mnist_hpc.cluster import container, main_process, preflight, slurm
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError
from mnist_hpc.study.specification import Study

FREE_GB = 5
FREE_INODES = 10_000
TRIAL_MINUTES = 5
PACKAGES = (
    "tensorflow",
    "tensorflow-cpu",
    "nvidia-cudnn-cu12",
    "keras",
    "snakemake",
    "snakemake-executor-plugin-slurm",
)


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        subject: What was checked.
        text: What was found; for a problem also what to do.
        problem: Whether it must be fixed before a run.
    """

    subject: str
    text: str
    problem: bool = False

    def __str__(self) -> str:
        return f"{'FIX' if self.problem else 'ok ':4} {self.subject}: {self.text}"


def examine(study: Study, folder: Path, results: Path, wait: int) -> Iterator[Finding]:
    """Yield the findings; the trial job comes last.

    Args:
        study: Study that is to run.
        folder: Folder of the profile.
        results: Folder of all results.
        wait: Seconds that the trial job may wait for a node.
    """
    profile = Profile(folder)
    try:
        yield Finding("Slurm", slurm.ask("sinfo", "--version"))
    except UserError as error:
        yield Finding("Slurm", str(error), problem=True)
        return
    requests = profile.requests(study)
    refused = False
    for request, names in requests.items():
        reason = preflight.refusal(request)
        refused |= reason is not None
        yield Finding("request", reason or f"{request} ({len(names)} variants and sweeps)", problem=bool(reason))
    yield from _settings(profile)
    yield from _versions(gpu=bool(profile.of_rule("train").get("require_gpu")))
    yield from _room(results)
    yield from _orphans(Path.cwd())
    if refused:
        yield Finding("trial job", "not submitted, because Slurm would refuse it", problem=True)
    else:
        yield from _trial(next(iter(requests)), profile, results, wait)


def _settings(profile: Profile) -> Iterator[Finding]:
    """Yield settings of a profile that are known to lose jobs or results."""
    settings = profile.settings
    if settings.get("mnist-slurm-array-jobs"):
        text = "mnist-slurm-array-jobs loses results (issues 447 and 473 of the executor plugin); delete the entry"
        yield Finding("profile", text, problem=True)
    if not settings.get("retries"):
        yield Finding("profile", "retries is missing; a training would not continue after its time limit", problem=True)


def _versions(*, gpu: bool) -> Iterator[Finding]:
    """Yield the versions of the environment, and whether it can use a GPU if the jobs need one."""
    installed = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    if gpu and not container.image() and "nvidia-cudnn-cu12" not in installed:
        yield Finding("environment", "TensorFlow has no CUDA here; run `make env-gpu`", problem=True)
    listed = ", ".join(f"{name} {version}" for name, version in installed.items())
    yield Finding("environment", f"Python {platform.python_version()}, {listed}")


def _room(results: Path) -> Iterator[Finding]:
    """Yield whether there is enough space, and inodes, for the results."""
    place = next(path for path in (results.absolute(), *results.absolute().parents) if path.exists())
    system = os.statvfs(place)
    free, inodes = system.f_bavail * system.f_frsize / 1e9, system.f_favail
    text = f"{free:.0f} GB and {inodes} inodes free under {place}"
    if system.f_files == 0:  # some file systems have no fixed number of inodes
        text, inodes = f"{free:.0f} GB free under {place}", FREE_INODES
    if free < FREE_GB or inodes < FREE_INODES:
        text += f", expected {FREE_GB} GB and {FREE_INODES} inodes: move the folder to the project's file system"
        yield Finding("space", text, problem=True)
    else:
        yield Finding("space", f"{text} (quotas may be smaller)")


def _orphans(folder: Path) -> Iterator[Finding]:
    """Yield the jobs that an earlier main process left in the queue."""
    left = main_process.jobs_of(folder)
    for job, work in left.items():
        text = f"{job}, {work}; unless its main process still runs: `make resume PROFILE=…` says what to do"
        yield Finding("running already", text, problem=True)
    if not left:
        yield Finding("running already", "no job of this folder")


def _trial(request: Request, profile: Profile, results: Path, wait: int) -> Iterator[Finding]:
    """Yield the result of a short job on a compute node."""
    gpu = int(profile.of_rule("train").get("require_gpu", 0))
    results.mkdir(exist_ok=True)
    answer = results.absolute() / f".doctor-{os.getpid()}.json"
    probe = ("-m", "mnist_hpc", "probe", "--require-gpu", str(gpu), "--answer", str(answer))
    short = Request(TRIAL_MINUTES, request.mem_mb, request.cpus, request.options)
    begin = time.monotonic()
    try:
        slurm.ask(
            *("srun", f"--immediate={wait}", "--ntasks=1", "--job-name=mnist_doctor", *short.arguments),
            *(*container.python(sys.executable), *probe),
            timeout=wait + 60 * TRIAL_MINUTES,
        )
        while not answer.exists():  # it may take a while on a shared file system
            if time.monotonic() - begin > wait + 60 * TRIAL_MINUTES:
                raise UserError(f"the job succeeded, but {answer} did not appear here: is the folder shared?")
            time.sleep(0.5)
        found = json.loads(answer.read_text())
    except UserError as error:
        text = str(error)
        if re.search(r"busy|immediate|Unable to allocate", text, re.IGNORECASE):
            text = f"no node was free within {wait} s; run it again, or wait longer: make doctor WAIT=600"
        yield Finding("trial job", text, problem=True)
        return
    finally:
        answer.unlink(missing_ok=True)
    text = "TensorFlow {tensorflow} on {host}: {device}".format(**found)
    yield Finding("trial job", f"{text}; finished after {time.monotonic() - begin:.0f} s, files are shared")
