"""Grids of hyper-parameters: each point of a sweep as the specification of a variant."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Seed 0 of a sweep, above every seed that a variant can have: no training of a sweep shares its initial weights and
# batches with one that the study reports.
FIRST_SEED = 1_000_000
# Of the finalists of a sweep: above every seed by which they were selected.
FRESH_SEED = 2_000_000
# Keys of a variant that a grid may vary, beside `width` and arguments of the optimiser.
VARIED = ("optimizer", "batch_size", "steps", "epochs", "l2", "initial_scale")
# The argument of a schedule that a number for the learning rate stands for.
RATES = {
    "OneCycle": "maximal_learning_rate",
    "CosineDecay": "initial_learning_rate",
    "ExponentialDecay": "initial_learning_rate",
}


@dataclass(frozen=True)
class Point:
    """One point of a grid."""

    place: int  # its place in the order of the grid, from 0
    values: Mapping[str, Any]  # values of the grid's keys
    specification: Mapping[str, Any]  # specification of a variant with these values


def points(specification: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Return all points of a grid over a variant, the values of its last key changing fastest; see ``with_value``."""
    return [Point(place, values, with_values(specification, values)) for place, values in enumerate(combinations(grid))]


def combinations(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the values of all points of a grid."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def with_values(specification: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification with the values of a point; an optimiser comes before its arguments."""
    changed = dict(specification)
    for key in sorted(values, key=lambda key: key != "optimizer"):
        changed = with_value(changed, key, values[key])
    return changed


def without_values(specification: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return a specification without the values that ``with_values`` replaces for each point of a grid."""
    kept = dict(specification)
    for key, values in grid.items():
        if key in ("steps", "epochs"):
            kept = {name: value for name, value in kept.items() if name not in ("steps", "epochs")}
        elif key in VARIED:
            kept.pop(key, None)
        elif key == "width":
            kept["layers"] = [_without_units(layer) for layer in kept["layers"][:-1]] + kept["layers"][-1:]
        elif "optimizer" not in grid:
            ((name, arguments),) = kept["optimizer"].items()
            schedule = arguments.get(key)
            arguments = {argument: value for argument, value in arguments.items() if argument != key}
            if isinstance(schedule, Mapping) and not all(isinstance(value, Mapping) for value in values):
                ((kind, rates),) = schedule.items()
                arguments[key] = {kind: {rate: value for rate, value in rates.items() if rate != RATES[kind]}}
            kept["optimizer"] = {name: arguments}
    return kept


def _without_units(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    if "Dense" not in layer:
        return layer
    return {"Dense": {name: value for name, value in layer["Dense"].items() if name != "units"}}


def batch_of(specification: Mapping[str, Any], examples: int) -> int:
    """Return the examples per step."""
    return examples if specification["batch_size"] == "full" else specification["batch_size"]


def steps_of(specification: Mapping[str, Any], examples: int) -> int:
    """Return the steps of a training; ``epochs`` passes end with their last whole batch."""
    return specification.get("steps") or specification["epochs"] * examples // batch_of(specification, examples)


def images_seen(specification: Mapping[str, Any], examples: int) -> int:
    """Return the images that a training sees, counting repetitions."""
    if "steps" in specification:
        return batch_of(specification, examples) * specification["steps"]
    return specification["epochs"] * examples


def named(item: str | dict[str, Any]) -> dict[str, Any]:
    """Return the short form ``Flatten`` as ``{"Flatten": {}}``."""
    return {item: {}} if isinstance(item, str) else item


def text(value: Any) -> Any:
    """Return a value of a grid as tables show it: an optimiser is its name, or JSON if it has arguments."""
    if not isinstance(value, Mapping):
        return value
    ((name, arguments),) = value.items()
    return json.dumps(value, sort_keys=True) if arguments else name


def label(value: Any) -> str:
    """Return a value of a grid as a short text: an optimiser without the braces of JSON, as SGD momentum 0.9."""
    if not isinstance(value, Mapping):
        return str(value)
    ((name, arguments),) = value.items()
    return " ".join([name, *(f"{key} {item}" for key, item in arguments.items())])


def with_value(specification: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return a specification with one key changed.

    The key is one of ``VARIED``, ``width`` (the units of each Dense layer but the last), or an optimiser's argument.
    """
    changed = dict(specification)
    if key in ("steps", "epochs"):
        changed = {name: given for name, given in changed.items() if name not in ("steps", "epochs")}
    if key == "optimizer":
        changed[key] = named(value)
    elif key in VARIED:
        changed[key] = value
    elif key == "width":
        hidden, last = changed["layers"][:-1], changed["layers"][-1]
        changed["layers"] = [
            {"Dense": layer["Dense"] | {"units": value}} if "Dense" in layer else layer for layer in hidden
        ] + [last]
    else:
        ((name, arguments),) = changed["optimizer"].items()
        schedule = arguments.get(key)
        if isinstance(schedule, Mapping) and not isinstance(value, Mapping):
            ((kind, rates),) = schedule.items()
            value = {kind: rates | {RATES[kind]: value}}
        changed["optimizer"] = {name: arguments | {key: value}}
    return changed


def shared(specification: Mapping[str, Any], packable: Sequence[str]) -> str:
    """Return what points that may differ in the ``packable`` keys have in common, as JSON."""
    ((name, arguments),) = specification["optimizer"].items()
    kept = {key: value for key, value in specification.items() if key not in (*packable, "optimizer")}
    kept["optimizer"] = {name: {key: value for key, value in arguments.items() if key not in packable}}
    return json.dumps(kept, sort_keys=True)
