"""Show which results no variant or sweep of the config claims any more, and remove them after a yes."""

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
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(config: Path, overrides: dict[str, Any], results: Path, *, yes: bool) -> None:
    """Show and remove what is unclaimed."""
    paths = unclaimed(Study.read(config, overrides), results)
    if not paths:
        print("Nothing to remove: every result belongs to a variant or sweep of the config.")
        return
    for path in paths:
        print(f"{_size(path) / 1e6:10.1f} MB  {path}")
    if yes or _confirm("Remove these? [y/N] "):
        _remove(paths)
        print("Removed.")
    else:
        print("Nothing was removed; answer y, or add YES=1 to the command")


def unclaimed(study: Study, results: Path) -> list[Path]:
    """Return the folders and files under ``results`` that today's config would not make.

    In the data sets of the study that is every block that is not one of its blocks, nor what ``max_seeds`` made of one
    in a quick look. In other data sets (``--config dataset=...``) it is what belongs to no variant of the config: the
    config does not say which seeds such a study had. Checkpoints go with their variant. Raw data and tables stay. What
    a link leads to is not looked at.
    """
    claimed = {
        results / replace(block, last=last).folder
        for block in study.blocks
        for last in range(block.first, block.last + 1)
    }
    parts = {results / file for sweep in study.sweeps.values() for part in sweep.parts for file in part.files}
    names = {*study.variants, *(f"sweep.{name}" for name in study.sweeps)}
    found = []
    for folder in sorted(results.glob("*/runs/*/")):
        dataset = folder.parents[1].name
        if folder.name not in study.variants:
            found.append(folder)
        elif dataset in study.datasets:
            found += [block for block in sorted(folder.iterdir()) if block not in claimed]
    for folder in sorted(results.glob("*/sweeps/*/")):
        if folder.name not in study.sweeps:
            found.append(folder)
        elif folder.parents[1].name in study.datasets:
            found += [part for part in sorted(folder.glob("part-*")) if part not in parts]
    found += [folder for folder in sorted(results.glob("state/*/*")) if folder.name not in names]
    return [path for path in found if not _behind_a_link(path.relative_to(results), results)]


def _behind_a_link(path: Path, results: Path) -> bool:
    return any((results / parent).is_symlink() for parent in list(path.parents)[:-1])


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return sum(item.stat().st_size for item in (path, *path.rglob("*")) if item.is_file())


def _remove(paths: list[Path]) -> None:
    """Remove files, and folders with all they hold; a folder that this leaves empty goes too."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


def _confirm(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False
