"""Check the sweeps of a config: their keys, the values that they try, and how they are halved."""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.study import grids, halving, schedules, schema, spaces
from mnist_hpc.study.check_training import check_recipe, check_training
from mnist_hpc.study.schema import check_name
from mnist_hpc.study.specification import Study, Sweep, Variant, inherited, values_of

# Of a grid: more than any study has; all points are listed before the first job.
MOST_POINTS = 100_000
# Bytes of a sweep in the command of its job: Linux takes 128 KiB as one argument.
MOST_BYTES = 120_000


def check_sweep(place: str, keys: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Raise UserError for the first error of the keys of a sweep; its values are checked later."""
    variant = keys["variant"]
    check_name(f"{place}.variant", variant, content["variants"])
    if "from_sweep" in inherited(variant, content):
        raise UserError(f"{place}.variant: {variant} itself depends on a sweep; choose one that does not")
    if ("grid" in keys) == ("space" in keys):
        found = "both grid and space" if "grid" in keys else "neither grid nor space"
        raise UserError(f"{place}: found {found}, expected one of the two")
    if "grid" in keys:
        count = math.prod(map(len, keys["grid"].values()))
        if count > MOST_POINTS:
            raise UserError(f"{place}.grid: found {count} points, expected at most {MOST_POINTS}")
        if "points" in keys:
            raise UserError(f"{place}.points: expected a space; in a grid, all points are tried")
    else:
        _check_space(place, keys)
    batch = inherited(variant, content).get("batch_size")
    lengths = _check_length(place, keys, batch)
    if "halving" in keys:
        _check_halving(place, keys["halving"], lengths)


def _check_length(place: str, keys: Mapping[str, Any], batch: Any) -> list[str]:
    """Check what decides the steps of each point; return the keys that are tried for that."""
    tried = keys.get("grid") or keys["space"]
    lengths = [key for key in ("steps", "epochs") if key in tried]
    if len(lengths) > 1:
        raise UserError(
            f"{place}.{'grid' if 'grid' in keys else 'space'}: found both steps and epochs, expected one of the two"
        )
    if lengths and "images" in keys:
        raise UserError(f"{place}: found both images and {lengths[0]}, expected one of the two")
    if "images" in keys and "max_images" in keys:
        raise UserError(f"{place}: found both images and max_images, expected one of the two")
    if "images" in keys and "full" in tried.get("batch_size", [batch]):
        raise UserError(f"{place}.images: found batch_size full, expected numbers, from which the steps follow")
    return lengths


def _check_space(place: str, keys: Mapping[str, Any]) -> None:
    for key, dimension in keys["space"].items():
        if isinstance(dimension, Mapping):
            ((kind, (low, high)),) = dimension.items()
            if low >= high:
                raise UserError(f"{place}.space.{key}.{kind}: found {low} and {high}, expected the lowest value first")
    if "points" not in keys:
        raise UserError(f"{place}: the key 'points' is missing: how many points of the space to try")
    if "max_images" in keys:
        raise UserError(
            f"{place}.max_images: expected a grid; in a space, images says what the training of a point sees"
        )
    if keys["points"] > (size := math.prod(map(spaces.size, keys["space"].values()))):
        raise UserError(
            f"{place}.points: found {keys['points']}, expected at most the {size} points of the space; sampled "
            f"numbers have {spaces.DIGITS} digits"
        )


def _check_halving(place: str, keys: Mapping[str, Any], lengths: Sequence[str]) -> None:
    if lengths:
        raise UserError(
            f"{place}: found {lengths[0]} in a sweep that is halved, in which points are compared after a share of "
            "their steps; expected images, or the length of the variant"
        )
    try:
        share = halving.share(keys.get("first", 1))
    except (ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share <= 1:
        raise UserError(f"{place}.halving.first: found {keys['first']!r}, expected a share such as 1/9, at most 1")


def check_values(place: str, study: Study, variant: Variant, grid: Mapping[str, Sequence[Any]]) -> None:
    """Raise UserError for a value, by key, that cannot be one of a variant."""
    if "width" in grid and not any("Dense" in layer for layer in variant.keys["layers"][:-1]):
        raise UserError(f"{place}.width: {variant.name} has no Dense layer but the last, whose units are fixed")
    facts = study.facts(variant.dataset)
    # Arguments of the optimiser are checked with each of them.
    for optimizer in grid.get("optimizer", [variant.keys["optimizer"]]):
        specification = grids.with_value(variant.specification, "optimizer", optimizer)
        schema.validate_variant(place, specification)
        if "optimizer" in grid:
            _check_replaced(place, optimizer, grid)
        known = [*grids.VARIED, "width", *schema.optimizer_arguments(next(iter(specification["optimizer"])))]
        for key in grid:
            check_name(place, key, known)
            for value in grid[key] if key != "optimizer" else ():
                changed = grids.with_value(specification, key, value)
                schema.validate_variant(f"{place}.{key}", changed)
                check_training(f"{place}.{key}", changed, facts, variant.dataset)


def _check_replaced(place: str, optimizer: Any, grid: Mapping[str, Sequence[Any]]) -> None:
    """Check that an optimiser that is tried gives no argument that is tried as well, and would replace it."""
    ((name, arguments),) = grids.named(optimizer).items()
    for key in replaced(arguments, grid):
        raise UserError(
            f"{place}.optimizer: found {key} of {name}, which has no effect as values of {key} are tried; leave it out"
        )


def replaced(arguments: Mapping[str, Any], tried: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return the arguments of an optimiser that values of a sweep replace.

    Of a schedule, a number replaces the first or highest learning rate alone.
    """
    return [
        key
        for key, value in arguments.items()
        if key in tried and (not isinstance(value, Mapping) or all(isinstance(found, Mapping) for found in tried[key]))
    ]


def check_tried(place: str, study: Study, variant: Variant, keys: Mapping[str, Any]) -> None:
    """Raise UserError for a value that a sweep with these keys tries, and that cannot be one of its variant."""
    dimensions = keys.get("grid") or keys["space"]
    values = values_of(dimensions, keys.get("images"))
    check_values(place, study, variant, values)
    optimizers = {key: values[key] for key in ("optimizer",) if key in values}
    for key, dimension in dimensions.items():
        if not isinstance(dimension, Mapping):
            continue
        ((kind, _),) = dimension.items()
        between = spaces.value_at(dimension, 0.4142)
        try:  # the ends, which are right, may be whole numbers
            check_values(place, study, variant, optimizers | {key: [between]})
        except UserError:
            raise UserError(
                f"{place}.{key}: found {kind}, which tries numbers such as {between}, expected integers or a list"
            ) from None


def check_jobs(sweep: Sweep) -> None:
    """Raise UserError if a sweep has more brackets than points, or does not fit into the command of a job."""
    if (size := len(shlex.quote(sweep.json))) > MOST_BYTES:
        raise UserError(
            f"sweeps.{sweep.name}: its points take {size} bytes in the command of a job, expected at most "
            f"{MOST_BYTES}; try fewer points, or ranges instead of long lists"
        )
    if sweep.halving and sweep.jobs > sweep.count:
        raise UserError(
            f"sweeps.{sweep.name}.jobs: found {sweep.jobs}, expected at most {sweep.count}: each halves points "
            "of its own"
        )


def check_points(place: str, sweep: Sweep, variant: Variant, examples: int) -> None:
    """Raise UserError if a variant, the sweep's own or one that takes its choice, cannot train a point of it."""
    for point in _corners(sweep, variant):
        try:
            check_recipe(point.specification, examples)
            if variant is sweep.variant:
                _check_length_of(point.specification, sweep, examples)
        except UserError as error:
            values = ", ".join(f"{key} {grids.text(value)}" for key, value in point.values.items())
            raise UserError(f"{place} at {values}: {error}") from None


def _corners(sweep: Sweep, variant: Variant) -> list[grids.Point]:
    """Return the points of a grid for a variant, and of a space those with the lowest and the highest numbers."""
    content = json.loads(sweep.json) | {"specification": sweep.variant.specification}
    if sweep.kind == "space":
        ends = {key: _ends(spaces.bounds(dimension)) for key, dimension in sweep.dimensions.items()}
        content |= {"grid": list(ends.items()), "points": range(math.prod(map(len, ends.values())))}
        del content["space"]
    points = spaces.tried(content)
    return [replace(point, specification=grids.with_values(variant.specification, point.values)) for point in points]


def _ends(values: Sequence[Any]) -> list[Any]:
    """Return the lowest and the highest of the numbers among values, and all others."""
    numbers = [value for value in values if isinstance(value, int | float)]
    others = [value for value in values if not isinstance(value, int | float)]
    return [*sorted({min(numbers), max(numbers)} if numbers else ()), *others]


def _check_length_of(specification: Mapping[str, Any], sweep: Sweep, examples: int) -> None:
    batch = grids.batch_of(specification, examples)
    if sweep.images and sweep.images < batch:
        raise UserError(f"images: found {sweep.images}, expected at least a batch of {batch}")
    if sweep.halving:
        _check_first_rung(specification, sweep.halving, examples)


def _check_first_rung(specification: Mapping[str, Any], rules: Mapping[str, Any], examples: int) -> None:
    """Check that the order of points after the first rung predicts something about the final order."""
    steps, share = grids.steps_of(specification, examples), halving.share(rules["first"])
    if share * steps < 1:
        raise UserError(f"halving.first: found {share} of {steps} steps, expected a whole step")
    (arguments,) = specification["optimizer"].values()
    rising = 0
    if isinstance(rate := arguments.get("learning_rate"), Mapping):
        rising = schedules.warmup(rate, steps)
    if halving.ends(rules, steps)[0] < rising:
        raise UserError(
            f"halving.first: found {share} of {steps} steps, within the warm-up of {rising} steps, after which points "
            "are in another order; expected a larger share"
        )
