"""The best point of a sweep: the lowest validation loss, mean over seeds. Imports nothing heavy."""

import itertools
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError, reason
from mnist_hpc.files import csv_table
from mnist_hpc.files.atomic import atomic
from mnist_hpc.study.grids import with_values
from mnist_hpc.study.layout import HASHES, POINT_KEYS, point_columns

Row = dict[str, Any]


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a part of a sweep or of points.csv; raise UserError if the file is damaged or empty."""
    if not (rows := csv_table.read(path)):
        raise UserError(f"{path}: found no row; delete the file and run the workflow again")
    return rows


def rank(rows: Sequence[Row]) -> list[Row]:
    """Return the points, best first: ``point``, ``n``, mean and sd over seeds of validation loss and accuracy.

    A point with a failed seed ranks below all points without one. Among equal points the first of the grid wins.
    """
    points: dict[Any, list[Row]] = {}
    for row in rows:
        points.setdefault(row["point"], []).append(row)
    found = []
    for point, of_point in points.items():
        good = [row for row in of_point if row["status"] == "ok"]
        means = {}
        for name in ("validation_loss", "validation_accuracy"):
            values = [float(row[name]) for row in good]
            means[f"{name}_mean"] = statistics.mean(values) if values else math.nan
            means[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else math.nan
        found.append({"point": int(point), "n": len(good), "failed": len(of_point) - len(good), **means})
    return sorted(found, key=lambda row: (row["failed"] > 0, row["validation_loss_mean"], row["point"]))


def resolve(specification: Mapping[str, Any], best: Path) -> dict[str, Any]:
    """Return the specification of a variant with the values in best.json; raise UserError as ``read_best``."""
    return with_values(specification, read_best(best)["values"])


def read_best(path: Path) -> Row:
    """Return the content of best.json; raise UserError if it is not what ``choose`` wrote."""
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


def choose(parts: Sequence[Path], points: Path, best: Path, grid: dict[str, list[Any]]) -> Row:
    """Write all points of a sweep as one table, and the best point as JSON; return the best point.

    Args:
        parts: Tables of the sweep's jobs.
        points: CSV file to write; its rows are sorted by point and seed.
        best: JSON file to write: the values of the best point, its numbers, and the keys at the edge of the grid.
        grid: Values to try, by key.

    Raises:
        UserError: a training failed in every point, or the parts belong to another grid.
    """
    rows = sorted((row for part in parts for row in read(part)), key=lambda row: (int(row["point"]), int(row["seed"])))
    ranked, combinations = rank(rows), list(itertools.product(*grid.values()))
    names = ", ".join(map(str, parts))
    if max(row["point"] for row in ranked) >= len(combinations):
        raise UserError(f"{names}: not the points of this grid; delete them and run the workflow again")
    first = ranked[0]
    if first["failed"]:
        raise UserError(f"in every point of the sweep a training failed ({names}); try smaller learning rates")
    values = dict(zip(grid, combinations[first["point"]], strict=True))
    of_best = next(row for row in rows if int(row["point"]) == first["point"])
    content: Row = {key: of_best[key] for key in (*POINT_KEYS, *HASHES)} | {"values": values}
    content |= {key: None if math.isnan(value) else value for key, value in first.items()}  # JSON has no NaN
    edges = [key for key, value in values.items() if _at_the_edge(value, grid[key])]
    content |= {"points": len(ranked), "at_the_edge": edges, "criterion": "lowest mean validation loss"}
    csv_table.write(points, point_columns(list(grid)), rows)
    with atomic(best) as temporary:
        temporary.write_text(json.dumps(content | {csv_table.CHECKSUM: csv_table.checksum(content)}, indent=2) + "\n")
    return content


def _at_the_edge(value: Any, tried: Sequence[Any]) -> bool:
    """Return whether a value is the lowest or highest of three or more numbers."""
    numbers = len(tried) > 2 and all(isinstance(other, int | float) for other in tried)
    return numbers and value in (min(tried), max(tried))
