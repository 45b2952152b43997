"""Convert a data set to ``train.h5`` and ``test.h5``.

``train.h5`` has the groups ``train`` and ``validation``; the test examples lie in a file of their own, so that nothing
but evaluation can read them.
"""

import argparse
import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc import __version__, options
from mnist_hpc.data.splits import Splits, write_split
from mnist_hpc.files import hdf5
from mnist_hpc.study.datasets import BUILT_IN


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_names(parser, dataset="name of the data set")
    sources = ("idx_files", *BUILT_IN)
    parser.add_argument("--source", required=True, choices=sources, help="module of mnist_hpc.data.sources to load it")
    options.add_json(parser, entry="its entry in the config")
    options.add_paths(parser, folder="folder of the raw files; the HDF5 files go there too")


def run(dataset: str, source: str, entry: dict[str, Any], folder: Path) -> None:
    """Load a data set from its source and write both files; raise UserError if a raw file is damaged."""
    # By name, so that the code hash of a data set covers its own source only.
    splits, facts = import_module(f"mnist_hpc.data.sources.{source}").load(entry, folder)
    attributes = {"dataset": dataset, "classes": entry["classes"], "data_hash": _hash(splits), **facts}
    attributes["version"] = __version__
    with hdf5.writing(folder / "train.h5", attributes) as file:
        for part in ("train", "validation"):
            write_split(file.create_group(part), splits[part])
    with hdf5.writing(folder / "test.h5", attributes) as file:
        write_split(file, splits["test"])


def _hash(splits: Splits) -> str:
    """Return a short hash of all values, shapes and dtypes: equal data has an equal hash, wherever it came from."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        for array in (splits[name].inputs, splits[name].labels):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:12]
