"""Successive halving: train many points for a short time, and only the better ones for longer.

K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016.
The points of a sweep are trained up to a first share of their own steps. The best of them advance to ``factor`` times
as many steps, and so on, until a few have done all their steps: these are the rungs of a ladder. The best of the last
rung are the finalists: each is trained again from fresh seeds, which did not help to select it, and one of them is
chosen.
"""

import math
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeVar

T = TypeVar("T")
DEFAULTS = {"factor": 3, "finalists": 3, "fresh_seeds": 5}
# Of all steps, the share up to which the first rung trains. Early in a schedule, the order of points says little about
# that at the end: a rank correlation of 0.5 after a ninth of a one-cycle schedule, and of 0.9 after a third of it.
FIRST = Fraction(1, 9)
FIRST_OF_SCHEDULE = Fraction(1, 3)


def share(given: Any) -> Fraction:
    """Return a share as a config writes it, 1/9 or 0.1; raise ValueError or ZeroDivisionError for anything else."""
    return Fraction(str(given))


def shares(halving: Mapping[str, Any]) -> list[Fraction]:
    """Return the share of all steps at which each rung ends; the last one is 1."""
    found = [share(halving["first"])]
    while found[-1] < 1:
        found.append(min(Fraction(1), found[-1] * halving["factor"]))
    return found


def ends(halving: Mapping[str, Any], steps: int) -> list[int]:
    """Return the step at which each rung of a point with ``steps`` steps ends, each one later than the one before."""
    return [math.floor(share * steps) for share in shares(halving)]


def sizes(halving: Mapping[str, Any], points: int) -> list[int]:
    """Return how many of ``points`` points train in each rung; the last one has the finalists at least."""
    found = [points]
    for _ in shares(halving)[1:]:
        found.append(min(found[-1], max(found[-1] // halving["factor"], halving["finalists"])))
    return found


def bracket(points: Sequence[T], number: int, brackets: int, *, listed: bool = False) -> list[T]:
    """Return the points of one of several brackets, counted from 1: each is halved by itself.

    Consecutive points of a space cover it. Those of a grid, ``listed`` by key, are drawn: every other one might have
    the same value of a key.
    """
    places = range(len(points))
    order = random.Random(0).sample(places, len(places)) if listed else places  # noqa: S311  nothing secret
    begin, end = (len(points) * ends // brackets for ends in (number - 1, number))
    return [points[place] for place in sorted(order[begin:end])]


def rank(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the points, best first: how far each came, and mean and sd over seeds of validation loss and accuracy.

    A point that came to a higher ``rung`` ranks above one that was dropped, and a point with a failed seed below those
    without one that came as far. Among equal points the first one wins. ``n`` seeds are ok, the others ``failed``.
    """
    points: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        points.setdefault(row["point"], []).append(row)
    found = []
    for point, of_point in points.items():
        rung = max(int(row["rung"]) for row in of_point)
        there = [row for row in of_point if int(row["rung"]) == rung]
        good = [row for row in there if row["status"] == "ok"]
        means = {}
        for name in ("validation_loss", "validation_accuracy"):
            values = [float(row[name]) for row in good]
            means[f"{name}_mean"] = statistics.mean(values) if values else math.nan
            means[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else math.nan
        steps = max(int(row["steps"]) for row in there)
        failed = len(there) - len(good)
        found.append({"point": int(point), "rung": rung, "steps": steps, "n": len(good), "failed": failed, **means})
    return sorted(found, key=lambda row: (-row["rung"], row["failed"] > 0, row["validation_loss_mean"], row["point"]))


def best(rows: Iterable[Mapping[str, Any]], count: int) -> list[int]:
    """Return the best points, at most ``count``, and only those that failed with no seed."""
    return [row["point"] for row in rank(rows) if not row["failed"]][:count]
