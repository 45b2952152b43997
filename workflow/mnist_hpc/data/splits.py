"""Labelled examples, and how they are stored in HDF5.

A group holds ``images`` uint8 (N, 28, 28) or ``features`` float32 (N, 2), and ``labels`` uint8 (N,).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5


@dataclass(frozen=True)
class Split:
    """Labelled examples."""

    inputs: np.ndarray  # grey levels 0 to 255, uint8 (N, 28, 28), or features, float32 (N, 2)
    labels: np.ndarray  # classes, counted from 0, uint8 (N,)


Splits = dict[str, Split]


def write_split(group: h5py.Group, split: Split) -> None:
    """Write inputs and labels into an HDF5 group or file."""
    name = "images" if split.inputs.ndim == 3 else "features"
    group.create_dataset(name, data=split.inputs)
    group.create_dataset("labels", data=split.labels)


def read_split(group: h5py.Group) -> Split:
    """Return what ``write_split`` wrote; raise UserError if it is not a ``Split``, is empty, or is not finite."""
    kind, dtype = ("images", np.uint8) if "images" in group else ("features", np.float32)
    inputs, labels = group[kind], group["labels"]
    valid = inputs.dtype == dtype and inputs.shape[1:] == ((28, 28) if kind == "images" else (2,))
    if not (valid and labels.dtype == np.uint8 and labels.shape == inputs.shape[:1] and len(labels)):
        raise UserError(
            f"{group.name}: found {kind} {inputs.dtype} {inputs.shape} and labels {labels.dtype} {labels.shape}, "
            "expected uint8 (N, 28, 28) or float32 (N, 2), and uint8 (N,)"
        )
    split = Split(inputs[()], labels[()])
    if kind == "features" and not np.isfinite(split.inputs).all():
        raise UserError(f"{group.name}: found features that are not finite")
    return split


def read_training(path: Path) -> tuple[dict[str, Any], Split, Split]:
    """Return the attributes of ``train.h5``, and its training and validation examples; raise UserError if damaged."""
    attributes, (train, validation) = _read(path, "train", "validation")
    return attributes, train, validation


def read_test(path: Path) -> tuple[dict[str, Any], Split]:
    """Return the attributes of ``test.h5`` and its examples; raise UserError if damaged."""
    attributes, (test,) = _read(path, "/")
    return attributes, test


def _read(path: Path, *groups: str) -> tuple[dict[str, Any], list[Split]]:
    """Return the attributes that results depend on, and the examples of these groups."""
    with hdf5.reading(path) as file:
        classes = int(file.attrs["classes"])
        splits = [read_split(file[group]) for group in groups]
        if (largest := max(split.labels.max() for split in splits)) >= classes:
            raise UserError(f"found the label {largest}, expected 0 to {classes - 1}")
        return {**{name: str(file.attrs[name]) for name in ("dataset", "data_hash")}, "classes": classes}, splits


def plane(radius: np.ndarray, angle: np.ndarray, labels: np.ndarray) -> Splits:
    """Split points in polar coordinates into 2,000 for training, 500 for validation and 1,000 for the test."""
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    return cut(points, labels, {"train": 2000, "validation": 500, "test": 1000})


def cut(inputs: np.ndarray, labels: np.ndarray, sizes: dict[str, int]) -> Splits:
    """Split arrays into consecutive ranges with these names and sizes."""
    ends = np.cumsum(list(sizes.values()))
    return {
        name: Split(inputs[end - size : end], labels[end - size : end])
        for (name, size), end in zip(sizes.items(), ends, strict=True)
    }
