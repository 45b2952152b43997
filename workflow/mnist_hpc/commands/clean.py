"""List the results that belong to no variant or sweep of the config, and remove them after confirmation."""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.study.specification import Study


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def run(config: Path, overrides: dict[str, Any], results: Path, *, yes: bool) -> None:
    """List and remove what belongs to nothing in the config.

    A ``max_seeds`` among the overrides is for a quick look, and disowns no seed.
    """
    whole = {key: value for key, value in overrides.items() if key != "max_seeds"}
    paths = unclaimed(Study.read(config, whole), results)
    if not paths:
        print("Nothing to remove: every result belongs to a variant or sweep of the config.")
        return
    for path in paths:
        size = sum(item.stat().st_size for item in (path, *path.rglob("*")) if item.is_file())
        print(f"{size / 1e6:10.1f} MB  {path}")
    if yes or _confirmed("Remove these? [y/N] "):
        for path in paths:
            _remove(path)
        print("Removed.")
    else:
        print("Nothing was removed; answer y, or add YES=1 to the command")


def unclaimed(study: Study, results: Path) -> list[Path]:
    """Return the folders and files under ``results`` that the current config would not make.

    In the data sets of the study, these are all blocks that are neither blocks of the study nor such blocks shortened
    by ``max_seeds``. In other data sets (``--config dataset=...``), these are the results of unknown variants and
    sweeps only, as the config does not say which seeds such a study had. Checkpoints belong to their variant. Raw data
    and tables are never listed, nor is anything behind a link.
    """
    claimed = {
        results / replace(block, last=last).folder
        for block in study.blocks
        for last in range(block.first, block.last + 1)
    }
    claimed |= {results / file for sweep in study.sweeps.values() for part in sweep.parts for file in part.files}
    names = {*study.variants, *(f"sweep.{name}" for name in study.sweeps)}
    found = []
    for kind, known, pattern in (("runs", study.variants, "*"), ("sweeps", study.sweeps, "part-*")):
        for folder in sorted(results.glob(f"*/{kind}/*/")):
            if folder.name not in known:
                found.append(folder)
            elif folder.parents[1].name in study.datasets:
                found += [path for path in sorted(folder.glob(pattern)) if path not in claimed]
    found += [folder for folder in sorted(results.glob("state/*/*")) if folder.name not in names]
    above = len(results.parents) + 1
    return [path for path in found if not any(parent.is_symlink() for parent in path.parents[:-above])]


def _remove(path: Path) -> None:
    """Remove a file or a folder, and its parent if that leaves it empty."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False
