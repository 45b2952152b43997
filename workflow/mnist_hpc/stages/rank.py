"""Combine the parts of a sweep, and choose the best point."""

import argparse
import shutil
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.console import say
from mnist_hpc.files.atomic import remove_empty
from mnist_hpc.study.grids import label
from mnist_hpc.tables import choice


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    parser.add_argument("--parts", type=Path, nargs="+", required=True, help="CSV files of the sweep's jobs")
    parser.add_argument("--losses", type=Path, nargs="+", required=True, help="HDF5 files of the jobs, with losses")
    options.add_json(parser, sweep="specification, grid or space, seeds, ...")
    options.add_paths(parser, points="points.csv to write", best="best.json to write")
    parser.add_argument("--remove-state", type=Path, required=True, metavar="STATE", help="checkpoints to remove")


def run(
    parts: list[Path], losses: list[Path], sweep: dict[str, Any], points: Path, best: Path, remove_state: Path
) -> None:
    """Write points.csv and best.json, then remove the checkpoints; raise UserError as ``choice.choose`` does."""
    chosen = choice.choose(parts, points, best, sweep, losses)
    shutil.rmtree(remove_state, ignore_errors=True)
    remove_empty(remove_state.parent, levels=2)
    values = ", ".join(f"{key} {label(value)}" for key, value in chosen["values"].items())
    say(f"lowest of {chosen['points']} mean validation losses: {chosen['validation_loss_mean']:.4f} at {values}")
    for finalist in chosen.get("finalists", []):
        values = ", ".join(f"{key} {label(value)}" for key, value in finalist["values"].items())
        say(f"wins {finalist['wins']:.0%} of resampled sweeps: {finalist['validation_loss_mean']:.4f} at {values}")
    if chosen["at_the_edge"]:
        say(f"at the edge of what was tried: {', '.join(chosen['at_the_edge'])}; there may be better values beyond")
