"""A data set in four gzipped IDX files, as MNIST."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_hpc.data import idx
from mnist_hpc.data.splits import Split, Splits
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import RAW_FILES


def load(entry: Mapping[str, Any], folder: Path) -> tuple[Splits, dict[str, str]]:
    """Return the splits of an IDX data set; validation is the first part of the training file.

    Args:
        entry: Entry of the config's ``datasets``: ``files`` with shape and sha256, ``classes``, ``validation``.
        folder: Folder of the raw files, under the names of ``RAW_FILES``.

    Raises:
        UserError: a file is missing or damaged, or a label is not one of the classes.
    """
    payloads = {key: idx.read_verified(folder / RAW_FILES[key], file) for key, file in entry["files"].items()}
    arrays = {key: idx.decode(payload, tuple(entry["files"][key]["shape"])) for key, payload in payloads.items()}
    for key in ("train_labels", "test_labels"):
        if arrays[key].max() >= entry["classes"]:
            position = int(arrays[key].argmax())
            raise UserError(
                f"{folder / RAW_FILES[key]}: label {arrays[key][position]} at position {position}, expected labels "
                f"from 0 to {entry['classes'] - 1}; replace the file, or correct 'classes' in the config"
            )
    size = entry["validation"]
    images, labels = arrays["train_images"], arrays["train_labels"]
    splits = {
        "validation": Split(images[:size], labels[:size]),
        "train": Split(images[size:], labels[size:]),
        "test": Split(arrays["test_images"], arrays["test_labels"]),
    }
    hashes = {f"sha256_{key}": hashlib.sha256(payload).hexdigest() for key, payload in payloads.items()}
    return splits, {"source": "IDX files", **hashes}
