"""What a sweep found rung by rung, and at what cost, for figures and the report. Imports nothing heavy."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mnist_hpc.study import grids, halving
from mnist_hpc.study.spaces import Dimension
from mnist_hpc.study.specification import Sweep

Row = dict[str, Any]
# Numbers of a list that differ by this factor or more stand on a logarithmic axis.
WIDE = 10


def rungs(rows: Sequence[Mapping[str, Any]], sweep: Sweep, examples: int) -> list[Row]:
    """Return a row per point and rung of points.csv, in the order in which they were trained.

    ``loss`` and ``accuracy`` are means over seeds, None if a seed failed. ``seen`` are the images that one training has
    seen by then, counting repetitions; ``images`` are those that all seeds have seen since the rung before.

    Args:
        rows: Rows of points.csv.
        sweep: The sweep that they belong to.
        examples: Number of training examples.
    """
    batches = {int(row["point"]): _batch(row.get("batch_size"), sweep, examples) for row in rows}
    found = []
    for rung in sorted({int(row["rung"]) for row in rows}):
        there = [row for row in rows if int(row["rung"]) == rung]
        images = dict.fromkeys(batches, 0)
        for row in there:
            images[int(row["point"])] += int(row["images"])
        for row in sorted(halving.rank(there), key=lambda row: int(row["point"])):
            point, failed = row["point"], row["failed"]
            found.append(
                {
                    **{key: row[key] for key in ("point", "rung", "n", "failed")},
                    "seen": row["steps"] * batches[point],
                    "images": images[point],
                    "loss": None if failed else row["validation_loss_mean"],
                    "accuracy": None if failed else row["validation_accuracy_mean"],
                }
            )
    return found


def _batch(given: str | None, sweep: Sweep, examples: int) -> int:
    """Return the examples per step of a point, with what points.csv says of it if the sweep varies that."""
    if given is None:
        return grids.batch_of(sweep.variant.specification, examples)
    return examples if given == "full" else int(given)


def best_so_far(rungs: Iterable[Row]) -> list[tuple[int, float]]:
    """Return the images of all trainings together and the lowest mean loss found by then, wherever that falls.

    The last pair is the end of the sweep. ``rungs`` is what the function ``rungs`` returns.
    """
    found, total, lowest = [], 0, math.inf
    for row in rungs:
        total += row["images"]
        if row["loss"] is not None and row["loss"] < lowest:
            lowest = row["loss"]
            found.append((total, lowest))
    return [*found, (total, lowest)] if found and found[-1][0] < total else found


def scale(dimension: Dimension) -> str:
    """Return on which kind of axis the values of a dimension stand: ``log``, ``linear`` or ``list`` (equal steps)."""
    if isinstance(dimension, Mapping):
        return "log" if "log_uniform" in dimension else "linear"
    if not {type(value) for value in dimension} <= {int, float} or min(dimension) <= 0:
        return "list"
    return "log" if max(dimension) >= WIDE * min(dimension) else "linear"
