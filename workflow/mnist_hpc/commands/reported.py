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
    """Print the paths, separated by spaces; raise UserError if no figure or page exists."""
    study = Study.read(config, overrides)
    parts = {kind: list(figures.files(study, kind).values()) for kind in figures.kinds(study, results)}
    parts |= {name: [file] for name, file in figures.page_files(study).items()}
    absent = [name for name, files in parts.items() if not all((results / file).exists() for file in files)]
    if len(absent) == len(parts):
        raise UserError(
            f"{results / study.dataset}: there are no figures and pages yet; make run, or for another data set "
            'make report CONFIG="dataset=..."'
        )
    if absent:
        say(f"left out of the report because they do not exist: {', '.join(sorted(absent))}; run the workflow again")
    print(results / study.dataset, *(results / file for name in parts if name not in absent for file in parts[name]))
