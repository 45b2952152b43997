"""The points of a sweep: those of a grid, or of a space of hyper-parameters in the order of a Sobol sequence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.study import grids
from mnist_hpc.study.grids import Point

# Decides which points of a space are tried, in every study.
SEED = 0
# Digits of a sampled number: more say nothing about a hyper-parameter, and are hard to read.
DIGITS = 4
# How often the sequence is doubled before its points are assumed to be all there are.
DOUBLINGS = 6
# Of a uniform range, the share of its highest number below which hardly any is sampled.
SELDOM = 1e-3
# A number within this share of the end of its range is at the edge.
EDGE = 0.05

Dimension = Sequence[Any] | Mapping[str, Sequence[float]]  # a list of values, or {kind: [lowest, highest]}


def tried(sweep: Mapping[str, Any], seed: int = SEED) -> list[Point]:
    """Return the points of a sweep, given what ``Sweep.json`` says.

    A grid is listed with the values of its last key changing fastest; only the places in ``points`` are tried. Of a
    space, the first ``points`` of its Sobol sequence of this seed are. If all see ``images``, steps are among the
    values of each.
    """
    if "space" in sweep:
        chosen = list(enumerate(sampled(dict(sweep["space"]), sweep["points"], seed)))
    else:
        every = grids.combinations(dict(sweep["grid"]))
        chosen = [(place, every[place]) for place in sweep["points"]]
    return [point_of(sweep, place, values) for place, values in chosen]


def point_of(sweep: Mapping[str, Any], place: int, values: Mapping[str, Any]) -> Point:
    """Return the point of a sweep that has these values of what the sweep tries."""
    specification = grids.with_values(sweep["specification"], values)
    if "images" in sweep:
        steps = max(1, sweep["images"] // specification["batch_size"])
        values, specification = {**values, "steps": steps}, grids.with_value(specification, "steps", steps)
    return Point(place, values, specification)


def dimensions(sweep: Mapping[str, Any]) -> dict[str, Dimension]:
    """Return what a sweep tries, by key, given what ``Sweep.json`` says."""
    return dict(sweep.get("grid") or sweep["space"])


def sampled(space: Mapping[str, Dimension], count: int, seed: int = SEED) -> list[dict[str, Any]]:
    """Return ``count`` different points of a space; a larger number begins with the same ones.

    They are the scrambled Sobol sequence of Owen (J. Complexity 14, 1998): each half, quarter, ... of a range gets
    nearly as many points as any other.
    """
    from scipy.stats import qmc  # takes 0.7 s to import

    sequence, power = qmc.Sobol(len(space), rng=seed), (count - 1).bit_length()
    different: dict[str, dict[str, Any]] = {}
    for drawn in (power, *range(power, power + DOUBLINGS)):
        for places in sequence.random_base2(drawn).tolist():
            point = dict(zip(space, map(value_at, space.values(), places), strict=True))
            different.setdefault(repr(point), point)
        if len(different) >= count:
            return list(different.values())[:count]
    raise UserError(f"points: found {count}, expected at most the {len(different)} that differ in {DIGITS} digits")


def value_at(dimension: Dimension, place: float) -> Any:
    """Return the value of a dimension at a place in [0, 1)."""
    if not isinstance(dimension, Mapping):
        return dimension[int(place * len(dimension))]
    ((kind, (low, high)),) = dimension.items()
    if kind == "integers":
        return int(low) + int(place * (high - low + 1))
    value = low * (high / low) ** place if kind == "log_uniform" else low + place * (high - low)
    # Rounded, it could be beyond the range: 0.99999 would be 1.
    return float(min(high, max(low, float(f"{value:.{DIGITS}g}"))))


def place_of(dimension: Dimension, value: Any) -> float:
    """Return the place of a value of a dimension in [0, 1], the inverse of ``value_at``."""
    if not isinstance(dimension, Mapping):
        return list(dimension).index(value) / max(1, len(dimension) - 1)
    ((kind, (low, high)),) = dimension.items()
    if kind == "log_uniform":
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def bounds(dimension: Dimension) -> list[Any]:
    """Return the values of a list, or both ends of a range."""
    return list(dimension) if not isinstance(dimension, Mapping) else list(next(iter(dimension.values())))


def size(dimension: Dimension) -> int:
    """Return how many values of a dimension can be sampled."""
    if not isinstance(dimension, Mapping):
        return len(dimension)
    ((kind, (low, high)),) = dimension.items()
    if kind == "integers":
        return int(high - low + 1)
    return 1 + _number(high) - _number(max(low, SELDOM * high) if kind == "uniform" else low)


def _number(value: float) -> int:
    """Return the place of a number among all that are above 0 and have ``DIGITS`` digits."""
    digits, exponent = f"{value:.{DIGITS - 1}e}".split("e")
    return 9 * 10 ** (DIGITS - 1) * int(exponent) + int(digits.replace(".", ""))
