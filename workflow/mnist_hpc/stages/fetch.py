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
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds a mirror may stay silent")
    parser.add_argument("--tries", type=int, default=3, help="how often a mirror is asked for a file")


def run(dataset: str, entry: dict[str, Any], search_path: list[str], folder: Path, timeout: float, tries: int) -> None:
    """Fetch the four files; see ``download.fetch``."""
    download.fetch(dataset, entry, folder, search_path, timeout, tries)
