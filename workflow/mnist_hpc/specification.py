"""From a checked config to what runs: variants with every key resolved, and blocks of seeds."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mnist_hpc import config, grids
from mnist_hpc.datasets import BUILT_IN, RAW
from mnist_hpc.errors import UserError
from mnist_hpc.jobs import Block, Part
from mnist_hpc.provenance import specification_hash
from mnist_hpc.shapes import output_shape

# Folders of results that no data set may be named like.
RESERVED = {"state", "benchmarks"}
DEFAULTS: dict[str, Any] = {"loss": "CategoricalCrossentropy", "threads": 1, "runtime": 60, "mem_mb": 4000}
# More than any study has; each would be written down before the first job.
MOST_POINTS, MOST_BASES = 100_000, 100
# Time limit of an evaluation on a cluster.
EVALUATION_MINUTES = 20
# The keys of a variant that decide its numbers; the others say where, how often and with which limits it runs.
TRAINING_KEYS: tuple[str, ...] = ("layers", "loss", "optimizer", "batch_size", "steps", "epochs", "l2", "initial_scale")
TRAINING_KEYS += ("augmentation", "dtype_policy", "threads")


@dataclass(frozen=True)
class Variant:
    """A variant with all its keys, those of its base and the defaults included."""

    name: str
    dataset: str
    seeds: int
    keys: Mapping[str, Any]
    base: str | None = None

    @property
    def from_sweep(self) -> str | None:
        """The sweep whose best point's values it takes over."""
        return self.keys.get("from_sweep")

    @property
    def specification(self) -> dict[str, Any]:
        """What decides the numbers of the variant, but for what a sweep found."""
        return {key: self.keys[key] for key in TRAINING_KEYS if key in self.keys}

    @cached_property
    def json(self) -> str:
        """The specification as one JSON string with sorted keys, as the rules pass it."""
        return json.dumps(self.specification, sort_keys=True)

    @cached_property
    def hash(self) -> str:
        """Hash of the specification."""
        return specification_hash(self.specification)


@dataclass(frozen=True)
class Sweep:
    """A grid of hyper-parameters over one variant.

    Attributes:
        name: of the sweep.
        variant: that everything comes from which the grid does not name; with the sweep's own threads and limits.
        grid: values to try, by key.
        points: places in the grid that are tried.
        seeds: of each point.
        jobs: how many share it.
        pack_mb: memory that points trained together may take, MB.
    """

    name: str
    variant: Variant
    grid: Mapping[str, list[Any]]
    points: list[int]
    seeds: int
    jobs: int
    pack_mb: int

    @property
    def folder(self) -> str:
        """Where its results lie, from the folder ``results``."""
        return f"{self.variant.dataset}/sweeps/{self.name}"

    @property
    def parts(self) -> list[Part]:
        """What each of its jobs trains."""
        return [Part(self.variant.dataset, self.name, number, self.jobs) for number in range(1, self.jobs + 1)]

    @cached_property
    def json(self) -> str:
        """What decides its numbers, as one JSON string with sorted keys; the order of grid keys is that of points."""
        grid = list(self.grid.items())
        content = {"specification": self.variant.specification, "grid": grid, "seeds": self.seeds}
        content["points"] = self.points
        return json.dumps(content | {"pack_mb": self.pack_mb}, sort_keys=True)


class Study:
    """A whole study: data sets, variants, blocks, sweeps.

    Attributes:
        dataset: name of the study's data set.
        entries: IDX data sets of the config by name.
        search_path: folders that may hold their files.
        variants: by name, in the order of the config.
        sweeps: by name, in the order of the config.
        ensembles: by name, the variants whose seeds are its members.
        overrides: what the command line changed in the config, as JSON.
    """

    def __init__(self, path: Path, overrides: Mapping[str, Any] | None = None) -> None:
        """Read a config; see ``config.load`` for the arguments and errors."""
        content = config.load(path, overrides)
        self.overrides = json.dumps(overrides or {}, sort_keys=True)
        self.dataset: str = content["dataset"]
        self.entries: dict[str, Any] = content.get("datasets", {})
        self.search_path: list[str] = content.get("search_path", [])
        self._seeds_per_job: int = content.get("seeds_per_job", 5)
        try:
            self._check_datasets()
            self.variants = {name: self._resolve(name, content) for name in content["variants"]}
            self.sweeps = {name: self._sweep(name, content) for name in content.get("sweeps", {})}
            for variant in self.variants.values():
                if variant.from_sweep:
                    place = f"variants.{variant.name}.from_sweep"
                    _check_name(place, variant.from_sweep, self.sweeps)
                    self._check_grid(place, variant, self.sweeps[variant.from_sweep].grid)
            self.ensembles = {name: self._ensemble(name, content) for name in content.get("ensembles", {})}
        except UserError as error:
            raise UserError(f"{path}: {error}") from None

    @cached_property
    def blocks(self) -> list[Block]:
        """All blocks; block k of a variant begins with seed k × seeds_per_job."""
        return [
            Block(variant.dataset, variant.name, first, min(first + self._seeds_per_job, variant.seeds) - 1)
            for variant in self.variants.values()
            for first in range(0, variant.seeds, self._seeds_per_job)
        ]

    def blocks_of(self, variant: str) -> list[Block]:
        """Return the blocks of one variant."""
        return [block for block in self.blocks if block.variant == variant]

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets that some variant uses, and of the study's own."""
        return sorted({self.dataset, *(variant.dataset for variant in self.variants.values())})

    @property
    def files(self) -> list[str]:
        """What runs, sweeps and tables leave that a person may look at or delete, from the folder ``results``."""
        runs = [file for block in self.blocks for file in block.files]
        sweeps = [f"{sweep.folder}/{name}" for sweep in self.sweeps.values() for name in ("points.csv", "best.json")]
        return [*runs, *sweeps, *self.tables]

    @property
    def tables(self) -> list[str]:
        """The tables with their provenance, from the folder ``results``."""
        names = ("runs", "variants", "comparisons", "ensembles", "sweeps", "classes", "confusions")
        return [f"{self.dataset}/tables/{name}" for name in (*(f"{name}.csv" for name in names), "provenance.json")]

    @property
    def hash(self) -> str:
        """Hash of what the tables list: variants with their seeds and specifications, in whatever order."""
        listed = {
            name: (variant.dataset, variant.seeds, variant.hash, variant.base, variant.from_sweep)
            for name, variant in self.variants.items()
        }
        sweeps = {name: sweep.json for name, sweep in self.sweeps.items()}
        return specification_hash([self.dataset, self._seeds_per_job, listed, sweeps, self.ensembles])

    def choice(self, variant: str) -> list[str]:
        """Return what a variant takes over from a sweep, from the folder ``results``: no file, or best.json."""
        sweep = self.variants[variant].from_sweep
        return [f"{self.sweeps[sweep].folder}/best.json"] if sweep else []

    def raw_files(self, dataset: str) -> list[str]:
        """Return the downloaded files of a data set, from the folder ``results``; none for a built-in one."""
        return [f"{dataset}/data/{name}" for name in RAW.values()] if dataset in self.entries else []

    def entry(self, dataset: str) -> str:
        """Return the config's entry of a data set as JSON, ``null`` for a built-in one."""
        return json.dumps(self.entries.get(dataset), sort_keys=True)

    def _check_datasets(self) -> None:
        for name, entry in self.entries.items():
            place, files = f"datasets.{name}", entry["files"]
            if name in RESERVED | set(BUILT_IN):
                raise UserError(
                    f"{place}: the name is taken; choose another than {', '.join(RESERVED | set(BUILT_IN))}"
                )
            for part in ("train", "test"):
                images, labels = files[f"{part}_images"]["shape"][0], files[f"{part}_labels"]["shape"][0]
                if images != labels:
                    raise UserError(f"{place}.files: found {images} {part}_images and {labels} {part}_labels")
            if entry["validation"] >= files["train_images"]["shape"][0]:
                raise UserError(
                    f"{place}.validation: found {entry['validation']}, expected fewer than the "
                    f"{files['train_images']['shape'][0]} images of the training file"
                )
        _check_name("dataset", self.dataset, [*self.entries, *BUILT_IN])

    def _resolve(self, name: str, content: Mapping[str, Any]) -> Variant:
        place = f"variants.{name}"
        keys = DEFAULTS | _inherit(name, content["variants"], ())
        dataset = keys.get("dataset", self.dataset)
        _check_name(f"{place}.dataset", dataset, [*self.entries, *BUILT_IN])
        for key in ("layers", "optimizer", "batch_size"):
            if key not in keys:
                raise UserError(f"{place}: the key {key!r} is missing, and there is no base that has it")
        if ("steps" in keys) == ("epochs" in keys):
            found = "both steps and epochs" if "steps" in keys else "neither steps nor epochs"
            raise UserError(f"{place}: found {found}, expected one of the two")
        keys["layers"] = [grids.named(layer) for layer in keys["layers"]]
        keys["optimizer"], keys["loss"] = grids.named(keys["optimizer"]), grids.named(keys["loss"])
        self._check_training(place, keys, dataset)
        seeds = min(keys.get("seeds", content["seeds"]), content.get("max_seeds", 2**31))
        return Variant(name, dataset, seeds, keys, content["variants"][name].get("base"))

    def _sweep(self, name: str, content: Mapping[str, Any]) -> Sweep:
        """Return a sweep, after a look at each value of its grid."""
        place, keys = f"sweeps.{name}", content["sweeps"][name]
        _check_name(f"{place}.variant", keys["variant"], self.variants)
        own = {key: keys[key] for key in ("threads", "runtime", "mem_mb") if key in keys}
        variant = self.variants[keys["variant"]]
        if variant.from_sweep:
            raise UserError(f"{place}.variant: {variant.name} waits for a sweep itself; choose one that does not")
        variant = replace(variant, keys={**variant.keys, **own})
        self._check_grid(f"{place}.grid", variant, keys["grid"])
        # Whatever max_seeds says: with fewer a quick look would replace a whole sweep, which has no blocks of seeds.
        seeds = keys.get("seeds", content["seeds"])
        points = self._affordable(place, variant, keys)
        return Sweep(name, variant, keys["grid"], points, seeds, keys.get("jobs", 1), keys.get("pack_mb", 1000))

    def _affordable(self, place: str, variant: Variant, keys: Mapping[str, Any]) -> list[int]:
        """Return the places of the points of a sweep that see no more images than it allows."""
        _, _, examples = self.facts(variant.dataset)
        points = grids.points(variant.specification, keys["grid"])
        seen = [grids.images_seen(point.specification, examples) for point in points]
        found = [place for place, images in enumerate(seen) if images <= keys.get("max_images", images)]
        if not found:
            raise UserError(f"{place}.max_images: found {keys['max_images']}, expected {min(seen)} or more")
        return found

    def _check_grid(self, place: str, variant: Variant, grid: Mapping[str, Sequence[Any]]) -> None:
        """Check each value of a grid for a variant."""
        if "width" in grid and not any("Dense" in layer for layer in variant.keys["layers"][:-1]):
            raise UserError(f"{place}.width: {variant.name} has no Dense layer but the last, whose units are fixed")
        if {"steps", "epochs"} <= set(grid):
            raise UserError(f"{place}: found both steps and epochs, expected one of the two")
        if (count := math.prod(map(len, grid.values()))) > MOST_POINTS:
            raise UserError(f"{place}: found {count} points, expected at most {MOST_POINTS}")
        # Arguments of the optimiser are checked with each of them.
        for optimizer in grid.get("optimizer", [variant.keys["optimizer"]]):
            specification = grids.with_value(variant.specification, "optimizer", optimizer)
            config.check_variant(place, specification)
            known = [*grids.VARIED, "width", *config.optimizer_arguments(next(iter(specification["optimizer"])))]
            for key in grid:
                _check_name(place, key, known)
                for value in grid[key] if key != "optimizer" else ():
                    changed = grids.with_value(specification, key, value)
                    config.check_variant(f"{place}.{key}", changed)
                    self._check_training(f"{place}.{key}", changed, variant.dataset)

    def _ensemble(self, name: str, content: Mapping[str, Any]) -> list[str]:
        place, members = f"ensembles.{name}", content["ensembles"][name]
        for member in members:
            _check_name(place, member, self.variants)
        datasets = sorted({self.variants[member].dataset for member in members})
        if len(datasets) > 1:
            raise UserError(f"{place}: found variants of {' and '.join(datasets)}, expected those of one data set")
        return members

    def _check_training(self, place: str, keys: Mapping[str, Any], dataset: str) -> None:
        """Check what a variant asks for against its data."""
        classes, inputs, examples = self.facts(dataset)
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
        batch = keys["batch_size"]
        if batch != "full" and batch > examples:
            raise UserError(
                f"{place}.batch_size: found {batch}, expected at most the {examples} training examples of "
                f"{dataset}, or full"
            )

    def facts(self, dataset: str) -> tuple[int, tuple[int, ...], int]:
        """Return classes, shape of an example and number of training examples of a data set."""
        if dataset in BUILT_IN:
            known = BUILT_IN[dataset]
            return known.classes, known.input_shape, known.train_examples
        entry = self.entries[dataset]
        images, rows, columns = entry["files"]["train_images"]["shape"]
        return entry["classes"], (rows, columns, 1), images - entry["validation"]


def _check_name(place: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UserError(f"{place}: found {name!r}, expected {config.one_of(name, known)}")


def _inherit(name: str, variants: Mapping[str, Any], heirs: tuple[str, ...]) -> dict[str, Any]:
    """Return a variant's keys with those of its base below them; own steps replace the base's epochs."""
    if name in heirs:
        raise UserError(f"variants.{name}.base: found a circle: {' → '.join((*heirs, name))}")
    if len(heirs) > MOST_BASES:
        raise UserError(f"variants.{name}.base: found more than {MOST_BASES} variants, each the base of the next")
    own = dict(variants[name])
    if "base" not in own:
        return own
    base = own.pop("base")
    _check_name(f"variants.{name}.base", base, variants)
    keys = _inherit(base, variants, (*heirs, name))
    if "steps" in own or "epochs" in own:
        keys = {key: value for key, value in keys.items() if key not in ("steps", "epochs")}
    return keys | own
