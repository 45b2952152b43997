"""Write the report's own pages: the lecture retold, the tables, and what the study is made of."""

import argparse
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.figures import pages
from mnist_hpc.study.specification import Study


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_results(parser)
    text = "write only the lecture, as text for a code host"
    parser.add_argument("--lecture", type=Path, metavar="FOLDER", help=text)


def run(config: Path, overrides: dict[str, Any], results: Path, lecture: Path | None) -> None:
    """Write the pages of a study's report; raise UserError if the config cannot be read."""
    study = Study.read(config, overrides)
    if lecture:
        pages.write_lecture(study, results, lecture)
    else:
        pages.write(study, results)
