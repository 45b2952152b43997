"""Grids of hyper-parameters: each point of a sweep as the specification of a variant. Imports nothing heavy."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Keys of a variant that a grid may vary, beside `width` and the arguments of its optimiser.
VARIED = ("batch_size", "steps", "epochs", "l2", "initial_scale")


@dataclass(frozen=True)
class Point:
    """One point of a grid.

    Attributes:
        values: of the grid's keys.
        specification: what a variant with these values would have.
    """

    values: Mapping[str, Any]
    specification: Mapping[str, Any]


def points(specification: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Return all points of a grid, the values of its last key changing fastest.

    Args:
        specification: of the variant that the sweep is about.
        grid: values to try, by key: see ``with_value``.
    """
    found = []
    for values in itertools.product(*grid.values()):
        changed = specification
        for key, value in zip(grid, values, strict=True):
            changed = with_value(changed, key, value)
        found.append(Point(dict(zip(grid, values, strict=True)), changed))
    return found


def with_value(specification: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a specification with one key changed.

    Args:
        specification: layers, optimizer, ..., each layer as a mapping with its arguments.
        key: one of ``VARIED``; ``width``, the units of each Dense layer but the last; or an argument of the optimiser.
        value: to give it.
    """
    changed = dict(specification)
    if key in ("steps", "epochs"):
        changed.pop("steps", None), changed.pop("epochs", None)
    if key in VARIED:
        changed[key] = value
    elif key == "width":
        hidden, last = changed["layers"][:-1], changed["layers"][-1]
        changed["layers"] = [
            {"Dense": layer["Dense"] | {"units": value}} if "Dense" in layer else layer for layer in hidden
        ] + [last]
    else:
        ((name, arguments),) = changed["optimizer"].items()
        changed["optimizer"] = {name: arguments | {key: value}}
    return changed


def shared(specification: Mapping[str, Any], packable: Sequence[str]) -> str:
    """Return what a point has in common with others that can be trained with it as one wide product, as JSON.

    Args:
        specification: of the point.
        packable: keys, of the specification or its optimiser, in which they may differ.
    """
    ((name, arguments),) = specification["optimizer"].items()
    kept = {key: value for key, value in specification.items() if key not in (*packable, "optimizer")}
    kept["optimizer"] = {name: {key: value for key, value in arguments.items() if key not in packable}}
    return json.dumps(kept, sort_keys=True)
