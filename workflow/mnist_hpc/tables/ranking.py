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
from mnist_hpc.files.atomic import write_text
from mnist_hpc.study.grids import label, with_values
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


def losses(rows: Sequence[Row]) -> dict[int, dict[str, float]]:
    """Return by point the validation loss of each seed that is ok, by seed."""
    found: dict[int, dict[str, float]] = {}
    for row in rows:
        of_point = found.setdefault(int(row["point"]), {})
        of_point |= {row["seed"]: float(row["validation_loss"])} if row["status"] == "ok" else {}
    return found


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

    ``points`` has the rows of all parts, sorted by point and seed. ``best`` has the values of the best point, its
    numbers, and where the grid may be too narrow (see ``_edges``). Raise UserError if a training failed in every point,
    or the parts belong to another grid.
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
    edges = _edges(grid, [combinations[row["point"]] for row in ranked if not row["failed"]])
    content |= {"points": len(ranked), "at_the_edge": edges, "criterion": "lowest mean validation loss"}
    csv_table.write(points, point_columns(list(grid)), rows)
    write_text(best, json.dumps(content | {csv_table.CHECKSUM: csv_table.checksum(content)}, indent=2) + "\n")
    return content


def _edges(grid: Mapping[str, Sequence[Any]], ranked: Sequence[Sequence[Any]]) -> list[str]:
    """Return the keys whose best value is the lowest or highest of three or more numbers, as text.

    Keys with other values, such as optimizer, divide the grid, and each of them has an edge of its own: a comparison of
    optimisers is fair only if there is nothing better beyond the edge for any of them. The text is then
    "learning_rate with optimizer SGD".

    Args:
        grid: Values by key.
        ranked: Values of the points without a failed seed, best first.
    """
    numbers = [key for key, values in grid.items() if all(map(_is_number, values))]
    others = [key for key in grid if key not in numbers and len(grid[key]) > 1]
    seen, found = set(), []
    for values in (dict(zip(grid, point, strict=True)) for point in ranked):
        part = ", ".join(f"{key} {label(values[key])}" for key in others)
        if part not in seen:
            seen.add(part)
            keys = [key for key in numbers if _at_the_edge(values[key], grid[key])]
            found += [f"{key} with {part}" if part else key for key in keys]
    return found


def _is_number(value: Any) -> bool:
    """Return whether a value of a grid has a place among numbers; "full", the batch of all images, is the largest."""
    return value == "full" or (isinstance(value, int | float) and not isinstance(value, bool))


def _at_the_edge(value: Any, tried: Sequence[Any]) -> bool:
    """Return whether a number is the lowest or highest of three or more, and there may be others beyond it."""
    sizes = [math.inf if other == "full" else other for other in tried]
    return len(tried) > 2 and value != "full" and value in (min(sizes), max(sizes))
