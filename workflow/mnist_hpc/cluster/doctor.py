"""Check from the login node whether the cluster is ready for the study, before any job is submitted."""

import contextlib
import difflib
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from mnist_hpc.cluster import container, main_process, room, slurm, trial
from mnist_hpc.cluster.findings import Finding, Level
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.verdict import Site
from mnist_hpc.cluster.verdict import examine as examine_request
from mnist_hpc.errors import UserError
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.text import counted

PACKAGES = (
    "tensorflow",
    "tensorflow-cpu",
    "nvidia-cudnn-cu12",
    "keras",
    "snakemake",
    "snakemake-executor-plugin-slurm",
)
PYTHONS = ((3, 11), (3, 13))
GLIBC = (2, 28)
# Variables that jobs inherit, and that change which libraries they load.
INHERITED = {
    "LD_LIBRARY_PATH": "libraries there replace those of the environment",
    "LD_PRELOAD": "it is loaded into every program",
    "PYTHONPATH": "packages there replace those of the environment",
    "PYTHONHOME": "Python does not find its own library",
}


def examine(study: Study, folder: Path, results: Path, wait: int) -> Iterator[Finding]:
    """Yield the findings; those of the trial job come last.

    Args:
        study: Study that is to run.
        folder: Folder of the profile.
        results: Folder of all results.
        wait: Seconds that the trial job may wait for a node.
    """
    profile = Profile(folder)
    yield from _settings(profile)
    yield from _environment(gpu=bool(profile.of_rule("train").get("require_gpu")))
    yield from room.examine(results)
    try:
        yield Finding("Slurm", slurm.ask("sinfo", "--version"))
        yield from _running(Path.cwd())
        site, refused = Site(), False
        for request, names in profile.requests(study).items():
            verdict = examine_request(request, site, len(names))
            refused |= verdict.error is not None
            listed = ", ".join([*names[:3], *(["…"] if names[3:] else [])])
            text = verdict.error or f"{request} ({listed})"
            yield Finding("request", text, Level.FIX if verdict.error else Level.OK)
            yield from (Finding("request", warning, Level.NOTE) for warning in verdict.warnings)
    except UserError as error:
        yield Finding("Slurm", str(error), Level.FIX)
        return
    if refused:
        yield Finding("trial job", "not submitted, because Slurm would refuse it", Level.NOTE)
    else:
        largest = max(profile.requests(study), key=lambda request: request.gpus)
        yield from trial.examine(largest, profile, results, wait)


def _settings(profile: Profile) -> Iterator[Finding]:
    """Yield settings of a profile that Snakemake does not know, or that are known to lose jobs or results."""
    from snakemake.cli import get_argument_parser

    known = set(re.findall(r"--([\w-]+)", get_argument_parser().format_help()))
    for key in profile.settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "delete it"
            yield Finding("profile", f"{profile.path}: Snakemake does not know {key}; {hint}", Level.FIX)
    settings = profile.settings
    if settings.get("mnist-slurm-array-jobs"):
        text = "mnist-slurm-array-jobs loses results (issues 447 and 473 of the executor plugin); delete the entry"
        yield Finding("profile", text, Level.FIX)
    if not settings.get("retries"):
        text = "retries is missing; a training would not continue after its time limit"
        yield Finding("profile", text, Level.FIX)


def _environment(*, gpu: bool) -> Iterator[Finding]:
    """Yield the versions of the environment, whether it can use a GPU if jobs need one, and what jobs inherit."""
    installed = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    listed = ", ".join(f"{name} {version}" for name, version in installed.items())
    yield Finding("environment", f"Python {platform.python_version()}, {listed}")
    if gpu and not container.image() and "nvidia-cudnn-cu12" not in installed:
        yield Finding("environment", "TensorFlow has no CUDA here; run `make env-gpu`", Level.FIX)
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        text = f"found Python {platform.python_version()}, expected 3.11 to 3.13: `make env PYTHON=python3.12`"
        yield Finding("environment", text, Level.FIX)
    if problem := old_glibc(platform.libc_ver()):
        yield Finding("environment", problem, Level.FIX)
    if job := os.environ.get("SLURM_JOB_ID"):
        text = f"this shell is inside Slurm job {job}, where Snakemake submits no jobs; use a login node"
        yield Finding("environment", text, Level.FIX)
    for name, effect in INHERITED.items():
        if value := os.environ.get(name):
            text = f"jobs inherit {name}={value}: {effect}; `unset {name}` before a run unless they need it"
            yield Finding("environment", text, Level.NOTE)


def old_glibc(found: tuple[str, str]) -> str | None:
    """Return what to do if a C library, as ``platform.libc_ver`` names it, is too old; None if it is not."""
    name, version = found
    if name != "glibc" or tuple(map(int, version.split(".")[:2])) >= GLIBC:
        return None
    return f"found glibc {version}, TensorFlow needs 2.28 (RHEL 8) or later; use a container of the site"


def _running(folder: Path) -> Iterator[Finding]:
    """Yield whether a main process runs in this folder, and the jobs that an earlier one left in the queue."""
    main = main_process.read(folder)
    place = main.alive(folder) if main else None
    left = main_process.jobs_of(folder)
    if place:
        yield Finding("running already", f"{place}, with {counted(len(left), 'job')} in the queue", Level.NOTE)
        return
    for job, work in left.items():
        text = f"{job}, {work}, whose main process is lost: `make resume PROFILE=…` says what to do"
        yield Finding("running already", text, Level.FIX)
    if not left:
        yield Finding("running already", "no job of this folder")
