"""Data sets in four gzipped IDX files, such as MNIST."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_hpc.data import idx
from mnist_hpc.data.splits import Split, Splits
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import RAW_FILES


def load(entry: Mapping[str, Any], folder: Path) -> tuple[Splits, dict[str, str]]:
    """Return the splits of an IDX data set; validation is the first part of the training file."""
    arrays, hashes = {}, {}
    for key, file in entry["files"].items():
        path = folder / RAW_FILES[key]
        try:
            arrays[key], hashes[f"sha256_{key}"] = idx.read(path, file)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        if "labels" in key and arrays[key].max() >= entry["classes"]:
            raise UserError(
                f"{path}: label {arrays[key].max()} at position {arrays[key].argmax()}, expected labels from 0 to "
                f"{entry['classes'] - 1}; replace the file, or correct 'classes' in the config"
            )
    size = entry["validation"]
    images, labels = arrays["train_images"], arrays["train_labels"]
    splits = {
        "validation": Split(images[:size], labels[:size]),
        "train": Split(images[size:], labels[size:]),
        "test": Split(arrays["test_images"], arrays["test_labels"]),
    }
    return splits, {"source": "IDX files", **hashes}
