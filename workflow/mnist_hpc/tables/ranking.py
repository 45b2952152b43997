"""What sweeps found: the files that they write, read again. Imports nothing heavy."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError, reason
from mnist_hpc.files import csv_table
from mnist_hpc.study.grids import with_values

Row = dict[str, Any]


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a part of a sweep or of points.csv; raise UserError if the file is damaged or empty."""
    if not (rows := csv_table.read(path)):
        raise UserError(f"{path}: found no row; delete the file and run the workflow again")
    return rows


def losses(rows: Sequence[Row]) -> dict[tuple[int, int], dict[str, float]]:
    """Return by point and rung the validation loss of each seed that is ok, by seed."""
    found: dict[tuple[int, int], dict[str, float]] = {}
    for row in rows:
        reached = found.setdefault((int(row["point"]), int(row["rung"])), {})
        reached |= {row["seed"]: float(row["validation_loss"])} if row["status"] == "ok" else {}
    return found


def values(rows: Sequence[Row], keys: Iterable[str]) -> dict[int, dict[str, Any]]:
    """Return by point its values of some keys, as ``grids.text`` has them."""
    return {int(row["point"]): {key: _value(row[key]) for key in keys} for row in rows}


def _value(text: str) -> bool | int | float | str:
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def costs(rows: Sequence[Row]) -> dict[int, dict[str, float]]:
    """Return by point the images that its trainings saw, and their time in seconds."""
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        of_point = found.setdefault(int(row["point"]), {"images": 0, "train_seconds": 0.0})
        of_point["images"] += int(row["images"])
        of_point["train_seconds"] += float(row["train_seconds"])
    return found


def resolve(specification: Mapping[str, Any], best: Path) -> dict[str, Any]:
    """Return the specification of a variant with the values in best.json; raise UserError as ``read_best``."""
    return with_values(specification, read_best(best)["values"])


def read_best(path: Path) -> Row:
    """Return the content of best.json; raise UserError if it is not what ``choice.choose`` wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop(csv_table.CHECKSUM, None) != csv_table.checksum(content):
            raise UserError("it was changed after it had been written")
    except (OSError, ValueError, LookupError, TypeError, AttributeError, UserError) as error:
        raise UserError(
            f"{path}: {reason(error)}; delete the file and run the workflow again, or write values of your own "
            "into the variant instead of from_sweep"
        ) from None
    return content
