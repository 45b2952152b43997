"""Draw the figures of one kind."""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from mnist_hpc import figures, options
from mnist_hpc.errors import UserError, reason
from mnist_hpc.study.specification import Study


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_results(parser)
    parser.add_argument("--figure", required=True, help="kind of figure, such as accuracy-time")


def run(config: Path, overrides: dict[str, Any], results: Path, figure: str) -> None:
    """Draw every figure of a kind; raise UserError if there is no such kind, or its inputs cannot be read."""
    if figure not in figures.KINDS:
        raise UserError(f"--figure: found {figure!r}, expected one of {', '.join(figures.KINDS)}")
    kind = figures.KINDS[figure]
    study = Study.read(config, overrides)
    try:
        # By name, so that the code hash of a figure covers its own module only.
        import_module(f"mnist_hpc.figures.{kind.module}").draw(study, results, figure)
    except (KeyError, ValueError) as error:  # a table or file of another version, or edited by hand, lacks something
        raise UserError(
            f"{figure}: {reason(error)} in one of its inputs ({', '.join(kind.inputs(study)[:2])}, ...); "
            "run the workflow again"
        ) from None
