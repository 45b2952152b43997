"""Submit the whole study as one Slurm job that keeps the GPUs of one node busy; the data is fetched first, here."""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.cluster import node, supervisor
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.request import Request
from mnist_hpc.cluster.verdict import Site, examine
from mnist_hpc.console import say
from mnist_hpc.errors import UserError
from mnist_hpc.study.specification import Study


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)
    parser.add_argument("--profile", type=Path, required=True, help="folder of the profile")
    parser.add_argument("--gpus", type=options.count, default=1, help="number of GPUs, all of one node")
    parser.add_argument("--slots", type=options.count, default=1, help="how many trainings share a GPU")
    text = "time limit, minutes; by default, the expected time of what is left"
    parser.add_argument("--minutes", type=options.count, help=text)


def run(
    config: Path,
    overrides: dict[str, Any],
    results: Path,
    profile: Path,
    gpus: int,
    slots: int,
    minutes: int | None,
) -> None:
    """Fetch the data, submit the job, and print what it requests.

    Raises:
        UserError: The workflow or a job of it runs already, the data cannot be had, or Slurm refuses the job.
    """
    study, described = Study.read(config, overrides), Profile(profile)
    supervisor.take_over()
    site = Site()
    allowed = node.allowed_minutes(Request.of(described.defaults, 1, described.executor), site)
    if minutes and minutes > allowed:
        raise UserError(f"MINUTES: found {minutes}, expected at most {allowed:g}, the limit of the partition or QOS")
    minutes = minutes or node.minutes(study, results, gpus * slots, allowed)
    request = node.request(described, study, gpus, slots, minutes)
    if not described.executor.get("no-check"):
        verdict = examine(request, site)
        if verdict.error:
            raise UserError(verdict.error)
        for warning in verdict.warnings:
            say(f"Warning: {warning}")
    _fetch(study, overrides)
    inside = [sys.executable, "-m", "mnist_hpc", "supervise", "--config", str(config), "--results", str(results)]
    inside += ["--require-gpu", str(described.of_rule("train").get("require_gpu", 0))]
    inside += ["--gpu-slots", str(gpus * slots), *(["--set", *pairs(overrides)] if overrides else [])]
    node.write(node.script(request, str(described.settings.get("precommand") or ""), inside))
    number = node.submit()
    print(
        f"Job {number}: {request}\n`make status` shows how far it is, {node.LOGS}/{number}.log what it prints. "
        f"`scancel {number}` ends it; `make node` then continues. "
        f"At its end it writes {results / study.dataset / 'report.html'}."
    )


def pairs(overrides: Mapping[str, Any]) -> list[str]:
    """Return changed keys of the config as on the command line."""
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in overrides.items()]


def _fetch(study: Study, overrides: Mapping[str, Any]) -> None:
    """Make the data files of a study on this machine, as compute nodes may have no internet."""
    files = [f"results/{dataset}/data/{name}.h5" for dataset in study.datasets for name in ("train", "test")]
    changed = ["--config", *pairs(overrides)] if overrides else []
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", *changed, "--", *files]
    if subprocess.run(command, check=False).returncode:  # noqa: S603
        raise UserError("the data of the study could not be made; what is printed above says why")
