"""Print what the HTML report can show: its folder, then the figures and pages that exist."""

import argparse
from pathlib import Path
from typing import Any

from mnist_hpc import figures, options
from mnist_hpc.console import say
from mnist_hpc.errors import UserError
from mnist_hpc.study.specification import Study


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)


def run(config: Path, overrides: dict[str, Any], results: Path) -> None:
    """Print the paths, separated by spaces.

    Raises:
        UserError: there is nothing to show yet.
    """
    study = Study.read(config, overrides)
    parts = {kind: list(figures.files(study, kind).values()) for kind in figures.kinds(study, results)}
    parts |= {name: [file] for name, file in figures.page_files(study).items()}
    there = {name: files for name, files in parts.items() if all((results / file).exists() for file in files)}
    if not there:
        raise UserError(
            f"{results / study.dataset}: there are no figures and pages yet; make run, or for another data set "
            'make report CONFIG="dataset=..."'
        )
    if left_out := ", ".join(sorted(set(parts) - set(there))):
        say(f"left out of the report because they do not exist: {left_out}; run the workflow again to make them")
    print(*(results / file for file in (study.dataset, *(file for files in there.values() for file in files))))
