"""Check a config before anything runs: against the closed schema, then each variant against its data.

Every message names the place, what was found and what was expected. The Snakefile and the command line check; all other
code assumes a valid config.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError, reason
from mnist_hpc.study import config, grids, schedules, schema
from mnist_hpc.study.check_sweeps import check_jobs, check_points, check_sweep, check_tried, check_values, replaced
from mnist_hpc.study.check_training import check_recipe, check_training
from mnist_hpc.study.datasets import BUILT_IN
from mnist_hpc.study.layers import LAYERS
from mnist_hpc.study.specification import Study, inherited, values_of

# Folders of results that no data set may be named after.
RESERVED = {"state", "benchmarks"}


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """Return the study of a config.yaml, with changes from the command line; raise UserError if it is not valid."""
    content = config.read(path, overrides)
    try:
        _check_content(content)
        study = Study(content, overrides)
        for name, variant in study.variants.items():
            check_training(f"variants.{name}", variant.keys, study.facts(variant.dataset), variant.dataset)
        for name, sweep in content.get("sweeps", {}).items():
            place = f"sweeps.{name}.{'grid' if 'grid' in sweep else 'space'}"
            check_tried(place, study, study.variants[sweep["variant"]], sweep)
        for name, variant in study.variants.items():
            if variant.from_sweep:
                check_values(f"variants.{name}.from_sweep", study, variant, variant.grid or {})
        for sweep in study.sweeps.values():
            check_jobs(sweep)
        _check_recipes(study)
        _check_ensembles(study)
        _check_drawn(study)
    except UserError as error:
        raise UserError(f"{path}: {reason(error)}") from None  # on one line, though keys may have several
    return study


def _check_content(content: Mapping[str, Any]) -> None:
    """Check a config against the schema, and the keys of its data sets, variants and sweeps against each other."""
    schema.validate(content)
    known = [*content["datasets"], *BUILT_IN]
    _check_datasets(content["datasets"])
    if taken := set(content.get("layer_groups", {})) & set(LAYERS):
        raise UserError(f"layer_groups.{min(taken)}: the name is that of a layer; choose another")
    schema.check_name("dataset", content["dataset"], known)
    for name in content["variants"]:
        _check_keys(name, content, known)
    for name, sweep in content.get("sweeps", {}).items():
        check_sweep(f"sweeps.{name}", sweep, content)
    for name in content["variants"]:
        _check_decided(name, content)


def _check_datasets(entries: Mapping[str, Any]) -> None:
    taken = sorted(RESERVED | set(BUILT_IN))
    for name, entry in entries.items():
        place, files = f"datasets.{name}", entry["files"]
        if name in taken:
            raise UserError(f"{place}: the name is taken; choose one other than {', '.join(taken)}")
        for part in ("train", "test"):
            images, labels = files[f"{part}_images"]["shape"][0], files[f"{part}_labels"]["shape"][0]
            if images != labels:
                raise UserError(f"{place}.files: found {images} {part}_images and {labels} {part}_labels")
        if entry["validation"] >= files["train_images"]["shape"][0]:
            raise UserError(
                f"{place}.validation: found {entry['validation']}, expected fewer than the "
                f"{files['train_images']['shape'][0]} images of the training file"
            )


def _check_keys(name: str, content: Mapping[str, Any], datasets: Sequence[str]) -> None:
    """Check that the bases of a variant exist, and that together they say all that a training needs."""
    variants, place = content["variants"], f"variants.{name}"
    _check_bases(name, variants)
    if "without" in variants[name] and ("base" not in variants[name] or "layers" in variants[name]):
        raise UserError(f"{place}.without: expected a base whose layers it shortens, and no layers of its own")
    if "without" in variants[name]:
        shortened = inherited(variants[name]["base"], content).get("layers", [])
        there = sorted({layer for item in shortened for layer in grids.named(item)})
        for layer in variants[name]["without"]:
            schema.check_name(f"{place}.without", layer, there)
    keys = inherited(name, content)
    if "without" in variants[name] and not keys["layers"]:
        raise UserError(f"{place}.without: leaves no layer of {variants[name]['base']}; expected some to stay")
    schema.check_name(f"{place}.dataset", keys.get("dataset", content["dataset"]), datasets)
    for key in ("layers", "optimizer", "batch_size"):
        if not keys.get(key):
            raise UserError(f"{place}: the key {key!r} is missing, and no base has it")
    if ("steps" in keys) == ("epochs" in keys):
        found = "both steps and epochs" if "steps" in keys else "neither steps nor epochs"
        raise UserError(f"{place}: found {found}, expected one of the two")
    if "from_sweep" in keys:
        schema.check_name(f"{place}.from_sweep", keys["from_sweep"], content.get("sweeps", {}))


def _check_decided(name: str, content: Mapping[str, Any]) -> None:
    """Check that a variant sets nothing on top of its base that the sweep of its ``from_sweep`` decides."""
    own, sweep = content["variants"][name], inherited(name, content).get("from_sweep")
    if not sweep or "base" not in own:  # without a base, all that a training needs must be there
        return
    keys = content["sweeps"][sweep]
    decided = values_of(keys.get("grid") or keys["space"], keys.get("images"))
    set_here = {key for key in own if key in decided}
    if decided.keys() & set(schedules.STEPS):
        set_here |= own.keys() & set(schedules.STEPS)
    for optimizer, arguments in grids.named(own.get("optimizer", {})).items():
        set_here |= {f"optimizer.{optimizer}.{key}" for key in replaced(arguments, decided)}
    if set_here:
        raise UserError(
            f"variants.{name}.{min(set_here)}: would have no effect, as the sweep {sweep} decides it (from_sweep); "
            "remove it, or choose a base without from_sweep"
        )


def _check_bases(name: str, variants: Mapping[str, Any]) -> None:
    chain = [name]
    while (base := variants[chain[-1]].get("base")) is not None:
        place = f"variants.{chain[-1]}.base"
        schema.check_name(place, base, variants)
        if base in chain:
            raise UserError(f"{place}: found a cycle: {' → '.join((*chain, base))}")
        chain.append(base)


def _check_recipes(study: Study) -> None:
    """Check the optimiser of each training: of the variants, and of the points of sweeps."""
    examples = {name: study.facts(variant.dataset)[2] for name, variant in study.variants.items()}
    for variant in (variant for variant in study.variants.values() if not variant.from_sweep):
        try:
            check_recipe(variant.specification, examples[variant.name])
        except UserError as error:
            raise UserError(f"variants.{variant.name}: {error}") from None
    for name, sweep in study.sweeps.items():
        check_points(f"sweeps.{name}.{sweep.kind}", sweep, sweep.variant, examples[sweep.variant.name])
    for name, variant in study.variants.items():
        if variant.from_sweep:
            place = f"variants.{name}.from_sweep"
            check_points(place, study.sweeps[variant.from_sweep], variant, examples[name])


def _check_ensembles(study: Study) -> None:
    for name, members in study.ensembles.items():
        place = f"ensembles.{name}"
        for member in members:
            schema.check_name(place, member, study.variants)
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
        schema.check_name("draw", name, known)
