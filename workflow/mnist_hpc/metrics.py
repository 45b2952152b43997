"""The columns of a block's ``metrics.csv`` and ``history.csv``, written without pandas: a job starts faster."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc import storage

RUN_COLUMNS = [
    *("dataset", "variant", "seed", "status", "test_accuracy", "test_loss"),
    *("validation_accuracy", "validation_loss", "parameters", "steps", "batch_size", "loss", "train_seconds"),
    *("images_per_second", "device", "threads", "spec_hash", "data_hash", "code_hash"),
    *("failed_step", "train_accuracy", "train_loss", "dtype_policy", "startup_seconds", "compile_seconds"),
    *(
        "evaluation_code_hash",
        "windows",
        "jobs",
        "started",
        "finished",
        "commit",
        "version",
        "python",
        "tensorflow",
        "keras",
        "numpy",
        "host",
    ),
]
HISTORY_COLUMNS = [
    *("dataset", "variant", "seed", "step", "epoch", "train_loss", "train_accuracy"),
    *("validation_loss", "validation_accuracy", "train_seconds"),
]


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with exactly these columns, a value a row does not have left empty."""
    with storage.atomic(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
