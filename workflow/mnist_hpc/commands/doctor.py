"""Check whether the cluster of a profile is ready for the study; report each finding and what to do about it."""

import argparse
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.cluster import doctor
from mnist_hpc.cluster.findings import Level
from mnist_hpc.errors import UserError
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.text import counted


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)
    parser.add_argument("--profile", type=Path, required=True, help="folder of the profile")
    parser.add_argument("--wait", type=int, default=60, help="seconds a compute node may take to start the trial job")


def run(config: Path, overrides: dict[str, Any], results: Path, profile: Path, wait: int) -> None:
    """Print the findings; raise UserError if something must be fixed before a run."""
    problems = 0
    for finding in doctor.examine(Study.read(config, overrides), profile, results, wait):
        print(finding, flush=True)
        problems += finding.level is Level.FIX
    if problems:
        raise UserError(
            f"{counted(problems, 'problem')} to fix before a run; each line above that begins with FIX says how"
        )
