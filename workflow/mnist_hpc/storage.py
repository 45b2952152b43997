"""Files that appear whole or not at all, and the HDF5 layout of data sets and models.

A data file holds ``images`` uint8 (N, 28, 28) or ``features`` float32 (N, 2), and ``labels`` uint8 (N,).
A models file holds one group ``seed-<n>`` a seed: its facts as attributes and, unless it failed, its weights.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mnist_hpc.errors import UserError, reason


@dataclass(frozen=True)
class Split:
    """Examples with their classes.

    Attributes:
        inputs: uint8 (N, 28, 28), grey levels 0 to 255, or float32 (N, 2).
        labels: uint8 (N,), classes from 0.
    """

    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Model:
    """One trained seed.

    Attributes:
        facts: status, steps, seconds and what else training knows of the run; values that JSON can hold.
        weights: by Keras variable path, in Keras' order; empty when the training failed.
    """

    facts: dict[str, Any]
    weights: dict[str, np.ndarray]


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; rename it to ``path`` if the block succeeds, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_empty(folder: Path, levels: int) -> None:
    """Remove a folder and those above it, so many in all, up to the first that is not empty."""
    for level in [folder, *folder.parents][:levels]:
        if not level.is_dir() or any(level.iterdir()):
            return
        level.rmdir()


@contextlib.contextmanager
def writing(path: Path, attributes: Mapping[str, Any]) -> Iterator[h5py.File]:
    """Yield a new HDF5 file with these root attributes; it appears under ``path`` when the block succeeds."""
    with atomic(path) as temporary:
        with h5py.File(temporary, "w") as file:
            file.attrs.update(attributes)
            yield file
        with temporary.open("rb") as written:
            os.fsync(written.fileno())


@contextlib.contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """Yield an HDF5 file for reading, without a lock: many jobs read one file, on file systems without locks.

    Raises:
        UserError: the file is missing, not HDF5, damaged, or lacks what the block looks for.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run the stage that writes it") from None
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: {reason(error)}; delete the file and run the stage that writes it") from None


def write_split(group: h5py.Group, split: Split) -> None:
    """Write inputs and labels into an HDF5 group or file."""
    name = "images" if split.inputs.ndim == 3 else "features"
    group.create_dataset(name, data=split.inputs)
    group.create_dataset("labels", data=split.labels)


def read_split(group: h5py.Group) -> Split:
    """Read what ``write_split`` wrote, whole, into memory."""
    inputs = group["images"] if "images" in group else group["features"]
    return Split(inputs[()], group["labels"][()])


def write_models(path: Path, specification: Mapping[str, Any], models: Mapping[int, Model]) -> None:
    """Write the models of a block of seeds with the specification they were trained by."""
    with writing(path, {"specification": json.dumps(specification)}) as file:
        for seed, model in models.items():
            group = file.create_group(f"seed-{seed}")
            group.attrs["facts"] = json.dumps(model.facts)
            for name, value in model.weights.items():
                group.create_dataset(f"weights/{name}", data=value)


def read_models(path: Path) -> tuple[dict[str, Any], dict[int, Model]]:
    """Return the specification a models file was trained by, and its models by seed."""
    with reading(path) as file:
        models = {
            int(name.removeprefix("seed-")): Model(
                json.loads(group.attrs["facts"]),
                {
                    f"{layer}/{weight}": values[()]
                    for layer, weights in group.get("weights", {}).items()
                    for weight, values in weights.items()
                },
            )
            for name, group in file.items()
        }
        return json.loads(file.attrs["specification"]), dict(sorted(models.items()))
