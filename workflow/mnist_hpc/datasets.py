"""The data sets: built-in ones, IDX ones named in the config, and their conversion to HDF5.

Every data set becomes ``train.h5`` with the groups ``train`` and ``validation``, and ``test.h5`` apart from it,
so that nothing but evaluation can read a test image.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc import __version__, idx, storage
from mnist_hpc.errors import UserError
from mnist_hpc.storage import Split

# The files of an IDX data set in a study's data folder, whatever they were called where they came from.
RAW = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
Splits = dict[str, Split]


def digits() -> Splits:
    """Return the 1,797 real 8×8 digits of scikit-learn, brought to MNIST's form.

    Each image (grey levels 0 to 16) is interpolated bilinearly, pixel centres on pixel centres, to the 20×20
    box that MNIST's digits fill, scaled to 0 to 255 and rounded, and gets MNIST's margin of 4 pixels. The file
    lists one writer after the other: the last 360 images (20 %) are the test set, the first 180 validation.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998).
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    position = (np.arange(20) + 0.5) * 8 / 20 - 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(position.clip(0, 7)[:, None] - np.arange(8)))
    boxes = weights @ data.images @ weights.T
    images = np.zeros((len(boxes), 28, 28), np.uint8)
    images[:, 4:24, 4:24] = np.rint(boxes * (255 / 16))
    labels = data.target.astype(np.uint8)
    return _cut(images, labels, {"validation": 180, "train": 1257, "test": 360})


def circle() -> Splits:
    """Return points of a disc (class 0, radius up to 1) and of a ring around it (class 1, radius 1.6 to 2.4).

    Both are uniform by area, drawn alternately from seed 0. Slide "Width of Network".
    """
    random = np.random.default_rng(0)
    labels = np.arange(3500, dtype=np.uint8) % 2
    low, high = np.where(labels, 1.6, 0.0), np.where(labels, 2.4, 1.0)
    radius = np.sqrt(random.uniform(low**2, high**2))
    return _plane(radius, random.uniform(0, 2 * np.pi, len(labels)), labels)


def spirals() -> Splits:
    """Return points of two spirals (classes 0 and 1) that wind one and a half times around each other.

    Radius 0.2 to 2 with normal noise of standard deviation 0.03, drawn from seed 0. Slide "Linear + Nonlinear".
    """
    random = np.random.default_rng(0)
    labels = np.arange(3500, dtype=np.uint8) % 2
    turn = np.sqrt(random.uniform(0.01, 1, len(labels)))
    radius = 2 * turn + random.normal(0, 0.03, len(labels))
    return _plane(radius, 3 * np.pi * turn + np.pi * labels, labels)


def _plane(radius: np.ndarray, angle: np.ndarray, labels: np.ndarray) -> Splits:
    """Cut points in polar coordinates into 2,000 for training, 500 for validation and 1,000 for the test."""
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
    return _cut(points, labels, {"train": 2000, "validation": 500, "test": 1000})


def _cut(inputs: np.ndarray, labels: np.ndarray, sizes: dict[str, int]) -> Splits:
    """Cut arrays into consecutive named parts."""
    ends = np.cumsum(list(sizes.values()))
    return {
        name: Split(inputs[end - size : end], labels[end - size : end])
        for (name, size), end in zip(sizes.items(), ends, strict=True)
    }


@dataclass(frozen=True)
class BuiltIn:
    """A data set that needs no download, and what the config check must know of it without making it."""

    make: Callable[[], Splits]
    classes: int
    input_shape: tuple[int, ...]
    train_examples: int


BUILT_IN = {
    "digits": BuiltIn(digits, classes=10, input_shape=(28, 28, 1), train_examples=1257),
    "circle": BuiltIn(circle, classes=2, input_shape=(2,), train_examples=2000),
    "spirals": BuiltIn(spirals, classes=2, input_shape=(2,), train_examples=2000),
}


def convert(name: str, entry: Mapping[str, Any] | None, folder: Path) -> None:
    """Write ``train.h5`` and ``test.h5`` of a data set into its folder.

    Args:
        name: of the data set.
        entry: of the config's ``datasets`` for an IDX data set, whose raw files lie in ``folder``; None for a
            built-in one.
        folder: ``results/<dataset>/data``.

    Raises:
        UserError: a raw file is damaged, a label is not one of the classes, or nothing is known of the data set.
    """
    if entry is None and name not in BUILT_IN:
        raise UserError(
            f"found the data set {name!r}, expected one of {', '.join(BUILT_IN)}, or an entry of the config"
        )
    if entry is None:
        splits, classes = BUILT_IN[name].make(), BUILT_IN[name].classes
        source, hashes = f"built into mnist_hpc.datasets.{name}", {}
    else:
        payloads = {key: read_raw(folder / RAW[key], file) for key, file in entry["files"].items()}
        splits, classes = _split(payloads, entry, folder), entry["classes"]
        source = "IDX files"
        hashes = {f"sha256_{key}": hashlib.sha256(payload).hexdigest() for key, payload in payloads.items()}
    attributes = {
        "dataset": name,
        "classes": classes,
        "source": source,
        "data_hash": _hash(splits),
        "version": __version__,
        **hashes,
    }
    with storage.writing(folder / "train.h5", attributes) as file:
        for part in ("train", "validation"):
            storage.write_split(file.create_group(part), splits[part])
    with storage.writing(folder / "test.h5", attributes) as file:
        storage.write_split(file, splits["test"])


def read_raw(path: Path, file: Mapping[str, Any]) -> bytes:
    """Return the verified payload of a gzipped IDX file.

    Args:
        path: of the file.
        file: the config's ``shape`` and, where known, ``sha256`` of the payload.

    Raises:
        UserError: the file is missing, or its size, header or checksum is not what the config says.
    """
    shape = tuple(file["shape"])
    try:
        payload = idx.decompress(path, shape)
        idx.decode(payload, shape)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    found, expected = hashlib.sha256(payload).hexdigest(), file.get("sha256")
    if expected and found != expected:
        raise UserError(f"{path}: expected a payload with SHA-256 {expected}, found {found}")
    return payload


def _split(payloads: Mapping[str, bytes], entry: Mapping[str, Any], folder: Path) -> Splits:
    """Return the splits of an IDX data set; validation is the first part of the training file."""
    arrays = {key: idx.decode(payload, tuple(entry["files"][key]["shape"])) for key, payload in payloads.items()}
    for key in ("train_labels", "test_labels"):
        if arrays[key].max() >= entry["classes"]:
            position = int(arrays[key].argmax())
            raise UserError(
                f"{folder / RAW[key]}: label {arrays[key][position]} at position {position}, expected labels from "
                f"0 to {entry['classes'] - 1}; replace the file, or mend 'classes' of the data set in the config"
            )
    size = entry["validation"]
    images, labels = arrays["train_images"], arrays["train_labels"]
    return {
        "validation": Split(images[:size], labels[:size]),
        "train": Split(images[size:], labels[size:]),
        "test": Split(arrays["test_images"], arrays["test_labels"]),
    }


def _hash(splits: Splits) -> str:
    """Return a short hash of all values, shapes and types: equal data, equal hash, wherever it came from."""
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        for array in (splits[name].inputs, splits[name].labels):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:12]
