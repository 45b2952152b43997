"""Choose the best point of a sweep: the lowest validation loss, mean over seeds."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.files.atomic import write_text
from mnist_hpc.study import spaces
from mnist_hpc.study.grids import label
from mnist_hpc.study.halving import rank
from mnist_hpc.study.layout import HASHES, POINT_KEYS, point_columns
from mnist_hpc.tables import winning
from mnist_hpc.tables.ranking import Row


def choose(parts: Sequence[Path], points: Path, best: Path, sweep: Mapping[str, Any], losses: Sequence[Path]) -> Row:
    """Write all points of a sweep as one table, and the best point as JSON; return the best point.

    ``points`` has the rows of all parts, sorted by point, rung and seed. ``best`` has the values of the best point, its
    numbers, what the sweep cost, and where it may be too narrow (see ``_edges``); if there are ``losses`` of finalists,
    also how often each of these would win (see ``winning.wins``). Raise UserError if a training failed in every point
    or finalist, or the parts belong to another sweep.
    """
    rows = [row for part in parts for row in csv_table.read(part)]  # a job that is one too many has no row
    rows.sort(key=lambda row: (int(row["point"]), int(row["rung"]), int(row["seed"])))
    ranked, values = rank(rows), {point.place: point.values for point in spaces.tried(sweep)}
    names = ", ".join(map(str, parts))
    if values.keys() != {row["point"] for row in ranked}:
        raise UserError(f"{names}: not the points of this sweep; delete them and run the workflow again")
    first = ranked[0]
    if first["failed"]:
        which = "every point that was left of the sweep" if first["rung"] > 1 else "every point of the sweep"
        raise UserError(f"in {which} a training failed ({names}); try smaller learning rates")
    of_best = next(row for row in rows if int(row["point"]) == first["point"])
    content: Row = {key: of_best[key] for key in (*POINT_KEYS, *HASHES)} | {"values": values[first["point"]]}
    content |= _without_nan(first)
    edges = _edges(spaces.dimensions(sweep), [values[row["point"]] for row in ranked if not row["failed"]])
    content |= {"points": len(ranked), "at_the_edge": edges, "criterion": "lowest mean validation loss"}
    content |= {"images": sum(int(row["images"]) for row in rows)}
    content |= {"train_seconds": sum(float(row["train_seconds"]) for row in rows)}
    if "halving" in sweep:
        finalists = [row for row in ranked if row["rung"] == first["rung"] and not row["failed"]]
        wins = winning.wins(_losses(losses, of_best, [row["point"] for row in finalists]))
        content["finalists"] = [
            _without_nan(row) | {"values": values[row["point"]], "wins": share}
            for row, share in zip(finalists, wins, strict=True)
        ]
    csv_table.write(points, point_columns(spaces.dimensions(sweep)), rows)
    write_text(best, json.dumps(content | {csv_table.CHECKSUM: csv_table.checksum(content)}, indent=2) + "\n")
    return content


def _without_nan(row: Row) -> Row:
    """Return a row for JSON, which has no NaN."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


def _losses(paths: Sequence[Path], identity: Mapping[str, str], points: Sequence[int]) -> list[Any]:
    """Return the losses of points, each float32 (seeds, examples), from the files of their brackets."""
    found: dict[str, Any] = {}
    for path in paths:
        with hdf5.reading(path, **{key: identity[key] for key in HASHES}) as file:
            found |= {name: file[name][()] for name in file}
    return [found[str(point)] for point in points]


def _edges(dimensions: Mapping[str, spaces.Dimension], ranked: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys whose best value is at the end of a range, or of a list of three or more numbers, as text.

    Keys with other values, such as optimizer, divide the sweep, and each of them has an edge of its own: a comparison
    of optimisers is fair only if there is nothing better beyond the edge for any of them. The text is then
    "learning_rate with optimizer SGD".

    Args:
        dimensions: What is tried, by key.
        ranked: Values of the points without a failed seed, best first.
    """
    others = [key for key, tried in dimensions.items() if not _ordered(tried) and len(tried) > 1]
    seen, found = set(), []
    for values in ranked:
        part = ", ".join(f"{key} {label(values[key])}" for key in others)
        if part not in seen:
            seen.add(part)
            keys = [key for key, tried in dimensions.items() if _ordered(tried) and _at_the_edge(values[key], tried)]
            found += [f"{key} with {part}" if part else key for key in keys]
    return found


def _ordered(dimension: spaces.Dimension) -> bool:
    """Return whether the values have an order, as numbers do; "full", the batch of all images, is the largest one."""
    return isinstance(dimension, Mapping) or {type(value) for value in dimension if value != "full"} <= {int, float}


def _at_the_edge(value: Any, dimension: spaces.Dimension) -> bool:
    """Return whether there may be better values beyond one that was tried: not below 0 or above the full batch."""
    if isinstance(dimension, Mapping):
        place, lowest = spaces.place_of(dimension, value), spaces.bounds(dimension)[0]
        return spaces.size(dimension) > 2 and (place >= 1 - spaces.EDGE or (place <= spaces.EDGE and lowest != 0))
    sizes = [math.inf if other == "full" else other for other in dimension]
    return len(sizes) > 2 and value not in (0, "full") and value in (min(sizes), max(sizes))
