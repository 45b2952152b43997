"""Bring the raw files of an IDX data set into a folder, verified."""

import argparse
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.data import download


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    parser.add_argument("--dataset", required=True, help="name of the data set")
    parser.add_argument(
        "--entry", type=options.json_value, required=True, metavar="JSON", help="its entry in the config"
    )
    parser.add_argument(
        "--search-path", nargs="*", default=[], metavar="FOLDER", help="folders that may have the files"
    )
    parser.add_argument("--folder", type=Path, required=True, help="folder to write the files to")


def run(dataset: str, entry: dict[str, Any], search_path: list[str], folder: Path) -> None:
    """Fetch the four files; see ``download.fetch``."""
    download.fetch(dataset, entry, folder, search_path)
