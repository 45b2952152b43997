"""Tables that jobs write, and their columns: ``metrics.csv`` and ``history.csv`` of a block, ``points.csv`` of a sweep.

Tables lie open to every editor. Their last column, the same in all rows, is a checksum of everything else, so that a
number that was changed, or a row that is gone, is not taken for a measurement. Without pandas: a job starts faster.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc import storage
from mnist_hpc.errors import UserError, reason

CHECKSUM = "checksum"

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
    """Write rows as CSV with these columns and the checksum; a value that a row does not have is left empty."""
    lines = [["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows]
    checked = checksum([columns, lines])
    with storage.atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [[*columns, CHECKSUM], *([*line, checked] for line in lines)],
        )


def read(path: Path, *, earlier: bool = False) -> list[dict[str, str]]:
    """Return the rows of a table by column, as text.

    Args:
        path: of the table.
        earlier: also take a table without checksum, as earlier versions wrote them.

    Raises:
        UserError: it is not as ``write`` left it.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            columns, *lines = [*csv.reader(file, strict=True)] or [[]]
        if columns[-1:] == [CHECKSUM]:
            expected = checksum([columns[:-1], [line[:-1] for line in lines]])
            if any(line[-1:] != [expected] for line in lines):
                raise UserError("it was changed after it had been written")
        elif not earlier:
            raise UserError(f"the column {CHECKSUM} is missing")
        return [dict(zip(columns, line, strict=True)) for line in lines]
    except (ValueError, csv.Error, UserError) as error:
        raise UserError(f"{path}: {reason(error)}; delete the file and run the workflow again") from None


def checksum(content: Any) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
