"""CSV tables that jobs write: ``metrics.csv`` and ``history.csv`` of a block, ``points.csv`` of a sweep.

The last column, the same in all rows, is a checksum of everything else, so that an edited number or a missing row is
noticed. The module does not use pandas, so that jobs start faster.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError, reason
from mnist_hpc.files.atomic import atomic

CHECKSUM = "checksum"


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV with these columns and the checksum; a missing value is left empty."""
    lines = [["" if row.get(name) is None else str(row[name]) for name in columns] for row in rows]
    checked = checksum([columns, lines])
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = [[*columns, CHECKSUM], *([*line, checked] for line in lines)]
        csv.writer(file, lineterminator="\n").writerows(table)


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table as text, by column; raise UserError if it is not as ``write`` wrote it."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            columns, *lines = [*csv.reader(file, strict=True)] or [[]]
        if columns[-1:] != [CHECKSUM]:
            raise UserError(f"the column {CHECKSUM} is missing")
        expected = checksum([columns[:-1], [line[:-1] for line in lines]])
        if any(line[-1:] != [expected] for line in lines):
            raise UserError("it was changed after it had been written")
        return [dict(zip(columns, line, strict=True)) for line in lines]
    except (ValueError, csv.Error, UserError) as error:
        raise UserError(f"{path}: {reason(error)}; delete the file and run the workflow again") from None


def checksum(content: Any) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
