"""Check a config before anything runs: against the closed schema, then each variant against its data.

Every message names the place, what was found and what was expected. The Snakefile and the command line check; all other
code assumes a valid config.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.study import config, grids, halving, schedules, schema, spaces
from mnist_hpc.study.datasets import BUILT_IN
from mnist_hpc.study.layers import LAYERS, output_shape
from mnist_hpc.study.specification import Study, Sweep, Variant, inherited, values_of

# Folders of results that no data set may be named after.
RESERVED = {"state", "benchmarks"}
# More than any study has; all points are listed before the first job.
MOST_POINTS = 100_000
# Limits on the gradient, of which an optimiser takes one.
CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """Return the study of a config.yaml, with changes from the command line; raise UserError if it is not valid."""
    content = config.read(path, overrides)
    try:
        schema.validate(content)
        known = [*content["datasets"], *BUILT_IN]
        _check_datasets(content["datasets"])
        if taken := set(content.get("layer_groups", {})) & set(LAYERS):
            raise UserError(f"layer_groups.{min(taken)}: the name is that of a layer; choose another")
        _check_name("dataset", content["dataset"], known)
        for name in content["variants"]:
            _check_keys(name, content, known)
        for name, sweep in content.get("sweeps", {}).items():
            _check_sweep(f"sweeps.{name}", sweep, content)
        study = Study(content, overrides)
        for name, variant in study.variants.items():
            _check_training(f"variants.{name}", variant.keys, study.facts(variant.dataset), variant.dataset)
        for name, sweep in content.get("sweeps", {}).items():
            place = f"sweeps.{name}.{'grid' if 'grid' in sweep else 'space'}"
            _check_grid(place, study, study.variants[sweep["variant"]], _examples(sweep))
        for name, variant in study.variants.items():
            if variant.from_sweep:
                _check_grid(f"variants.{name}.from_sweep", study, variant, variant.grid or {})
        _check_brackets(study)
        _check_recipes(study)
        _check_ensembles(study)
        _check_drawn(study)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return study


def _check_datasets(entries: Mapping[str, Any]) -> None:
    for name, entry in entries.items():
        place, files = f"datasets.{name}", entry["files"]
        if name in RESERVED | set(BUILT_IN):
            raise UserError(f"{place}: the name is taken; choose another than {', '.join(RESERVED | set(BUILT_IN))}")
        for part in ("train", "test"):
            images, labels = files[f"{part}_images"]["shape"][0], files[f"{part}_labels"]["shape"][0]
            if images != labels:
                raise UserError(f"{place}.files: found {images} {part}_images and {labels} {part}_labels")
        if entry["validation"] >= files["train_images"]["shape"][0]:
            raise UserError(
                f"{place}.validation: found {entry['validation']}, expected fewer than the "
                f"{files['train_images']['shape'][0]} images of the training file"
            )


def _check_name(place: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UserError(f"{place}: found {name!r}, expected {schema.one_of(name, known)}")


def _check_keys(name: str, content: Mapping[str, Any], datasets: Sequence[str]) -> None:
    """Check that the bases of a variant exist, and that together they say all that a training needs."""
    variants, place = content["variants"], f"variants.{name}"
    _check_bases(name, variants)
    if "without" in variants[name] and ("base" not in variants[name] or "layers" in variants[name]):
        raise UserError(f"{place}.without: expected a base whose layers it shortens, and no layers of its own")
    if "without" in variants[name]:
        shortened = inherited(variants[name]["base"], content).get("layers", [])
        for layer in variants[name]["without"]:
            _check_name(f"{place}.without", layer, sorted({name for item in shortened for name in grids.named(item)}))
    keys = inherited(name, content)
    if "without" in variants[name] and not keys["layers"]:
        raise UserError(f"{place}.without: leaves no layer of {variants[name]['base']}; expected some to stay")
    _check_name(f"{place}.dataset", keys.get("dataset", content["dataset"]), datasets)
    for key in ("layers", "optimizer", "batch_size"):
        if not keys.get(key):
            raise UserError(f"{place}: the key {key!r} is missing, and there is no base that has it")
    if ("steps" in keys) == ("epochs" in keys):
        found = "both steps and epochs" if "steps" in keys else "neither steps nor epochs"
        raise UserError(f"{place}: found {found}, expected one of the two")
    if "from_sweep" in keys:
        _check_name(f"{place}.from_sweep", keys["from_sweep"], content.get("sweeps", {}))


def _check_bases(name: str, variants: Mapping[str, Any]) -> None:
    chain = [name]
    while base := variants[chain[-1]].get("base"):
        place = f"variants.{chain[-1]}.base"
        _check_name(place, base, variants)
        if base in chain:
            raise UserError(f"{place}: found a circle: {' → '.join((*chain, base))}")
        chain.append(base)


def _check_sweep(place: str, keys: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Check a sweep before its values are."""
    variant = keys["variant"]
    _check_name(f"{place}.variant", variant, content["variants"])
    if "from_sweep" in inherited(variant, content):
        raise UserError(f"{place}.variant: {variant} waits for a sweep itself; choose one that does not")
    if ("grid" in keys) == ("space" in keys):
        found = "both grid and space" if "grid" in keys else "neither grid nor space"
        raise UserError(f"{place}: found {found}, expected one of the two")
    if "grid" in keys:
        count = math.prod(map(len, keys["grid"].values()))
        if count > MOST_POINTS:
            raise UserError(f"{place}.grid: found {count} points, expected at most {MOST_POINTS}")
        if "points" in keys:
            raise UserError(f"{place}.points: expected a space, of which so many points are tried; all of a grid are")
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
        raise UserError(f"{place}.points: found {keys['points']}, expected at most the {size} points of the space")


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


def _check_grid(place: str, study: Study, variant: Variant, grid: Mapping[str, Sequence[Any]]) -> None:
    """Check each value of a grid for a variant."""
    if "width" in grid and not any("Dense" in layer for layer in variant.keys["layers"][:-1]):
        raise UserError(f"{place}.width: {variant.name} has no Dense layer but the last, whose units are fixed")
    facts = study.facts(variant.dataset)
    # Arguments of the optimiser are checked with each of them.
    for optimizer in grid.get("optimizer", [variant.keys["optimizer"]]):
        specification = grids.with_value(variant.specification, "optimizer", optimizer)
        schema.validate_variant(place, specification)
        known = [*grids.VARIED, "width", *schema.optimizer_arguments(next(iter(specification["optimizer"])))]
        for key in grid:
            _check_name(place, key, known)
            for value in grid[key] if key != "optimizer" else ():
                changed = grids.with_value(specification, key, value)
                schema.validate_variant(f"{place}.{key}", changed)
                _check_training(f"{place}.{key}", changed, facts, variant.dataset)


def _check_brackets(study: Study) -> None:
    for name, sweep in study.sweeps.items():
        if sweep.halving and sweep.jobs > sweep.count:
            raise UserError(
                f"sweeps.{name}.jobs: found {sweep.jobs}, expected at most {sweep.count}: each halves points of its own"
            )


def _check_recipes(study: Study) -> None:
    """Check the optimiser of each training: of the variants, and of the points of sweeps that are tried."""
    own = {name: variant for name, variant in study.variants.items() if not variant.from_sweep}
    trained: list[tuple[str, Variant, Sweep | None]] = [(f"variants.{name}", own[name], None) for name in own]
    trained += [(f"sweeps.{name}.{sweep.kind}", sweep.variant, sweep) for name, sweep in study.sweeps.items()]
    for name, variant in study.variants.items():
        if variant.from_sweep:
            trained.append((f"variants.{name}.from_sweep", variant, study.sweeps[variant.from_sweep]))
    for place, variant, sweep in trained:
        _, _, examples = study.facts(variant.dataset)
        for point in _corners(sweep, variant) if sweep else grids.points(variant.specification, {}):
            try:
                _check_recipe(point.specification, examples)
                batch = grids.batch_of(point.specification, examples)
                if sweep and sweep.images and sweep.images < batch:
                    raise UserError(f"images: found {sweep.images}, expected at least a batch of {batch}")
                if sweep and sweep.halving and place.startswith("sweeps."):
                    _check_first_rung(point.specification, sweep.halving, examples)
            except UserError as error:
                values = ", ".join(f"{key} {grids.text(value)}" for key, value in point.values.items())
                raise UserError(f"{place}{' at ' if values else ''}{values}: {error}") from None


def _examples(sweep: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return values of a sweep, by key: of a range both ends and, as whole numbers may not do, one in between."""
    dimensions = sweep.get("grid") or sweep["space"]
    found = values_of(dimensions, sweep.get("images"))
    for key, tried in dimensions.items():
        found[key] += [spaces.value_at(tried, 0.4142)] if isinstance(tried, Mapping) else []
    return found


def _corners(sweep: Sweep, variant: Variant) -> list[grids.Point]:
    """Return the points of a grid for a variant, and of a space those with the lowest and highest values of ranges."""
    content = json.loads(sweep.json) | {"specification": variant.specification}
    if sweep.kind == "space":
        places = list(range(math.prod(len(spaces.bounds(dimension)) for dimension in sweep.dimensions.values())))
        content |= {"grid": [(key, spaces.bounds(dimension)) for key, dimension in sweep.dimensions.items()]}
        content |= {"points": places[:MOST_POINTS]}
        del content["space"]
    return spaces.tried(content)


def _check_first_rung(specification: Mapping[str, Any], rules: Mapping[str, Any], examples: int) -> None:
    """Check that the order of points after the first rung says something about that at the end."""
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


def _check_recipe(specification: Mapping[str, Any], examples: int) -> None:
    ((optimizer, arguments),) = specification["optimizer"].items()
    limits = [key for key in CLIPPING if key in arguments]
    if len(limits) > 1:
        raise UserError(f"optimizer.{optimizer}: found {' and '.join(limits)}, expected one of them")
    if isinstance(rate := arguments.get("learning_rate"), Mapping):
        try:
            schedules.check(rate, grids.steps_of(specification, examples))
        except UserError as error:
            raise UserError(f"optimizer.{optimizer}.learning_rate.{error}") from None


def _check_ensembles(study: Study) -> None:
    for name, members in study.ensembles.items():
        place = f"ensembles.{name}"
        for member in members:
            _check_name(place, member, study.variants)
        datasets = sorted({study.variants[member].dataset for member in members})
        if len(datasets) > 1:
            raise UserError(f"{place}: found variants of {' and '.join(datasets)}, expected those of one data set")
        losses = sorted({loss for member in members for loss in study.variants[member].keys["loss"]})
        if len(losses) > 1:
            raise UserError(
                f"{place}: found variants with {' and '.join(losses)}, expected one loss: the outputs of one are "
                "probabilities that sum to 1, those of the other are not, and their mean would weigh members unequally"
            )


def _check_drawn(study: Study) -> None:
    known = [variant.name for variant in study.variants.values() if variant.dataset == study.dataset]
    for name in study.drawn:
        _check_name("draw", name, known)


def _check_training(place: str, keys: Mapping[str, Any], facts: tuple[int, tuple[int, ...], int], dataset: str) -> None:
    """Check what a variant asks for against its data."""
    classes, inputs, examples = facts
    for part in ("augmentation", "layers"):
        shape = inputs
        for index, layer in enumerate(keys.get(part, [])):
            ((name, arguments),) = layer.items()
            try:
                shape = output_shape(name, arguments, shape)
            except UserError as error:
                raise UserError(f"{place}.{part}[{index}].{name}: {error}") from None
    if shape != (classes,) or name != "Dense" or arguments.get("activation", "linear") != "linear":
        raise UserError(
            f"{place}.layers: found a last layer {name} {dict(arguments)} with output {shape}, expected one logit "
            f"per class of {dataset}: a Dense layer of {classes} units without activation on flat inputs"
        )
    if any("Normalization" in layer for layer in keys["layers"][1:]):
        raise UserError(f"{place}.layers: found Normalization behind other layers, expected it as the first")
    if "snapshots" in keys and len(inputs) != 1:
        raise UserError(f"{place}.snapshots: found images of {dataset}, expected a data set of points of the plane")
    batch = keys["batch_size"]
    if batch != "full" and batch > examples:
        raise UserError(
            f"{place}.batch_size: found {batch}, expected at most the {examples} training examples of "
            f"{dataset}, or full"
        )
