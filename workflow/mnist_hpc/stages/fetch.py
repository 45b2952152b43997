"""Copy or download the raw files of an IDX data set into a folder, and verify them."""

import argparse
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.data import download


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_names(parser, dataset="name of the data set")
    options.add_json(parser, entry="its entry in the config")
    options.add_paths(parser, folder="folder to write the files to")
    text = "folders that may have the files"
    parser.add_argument("--search-path", nargs="*", default=[], metavar="FOLDER", help=text)


def run(dataset: str, entry: dict[str, Any], search_path: list[str], folder: Path) -> None:
    """Fetch the four files; see ``download.fetch``."""
    download.fetch(dataset, entry, folder, search_path)
