"""From a config to what runs: variants with every key resolved, blocks of seeds, sweeps.

Assumes a valid config; ``mnist_hpc.study.check`` refuses others with a message.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study import config, grids, halving, schedules, spaces
from mnist_hpc.study.datasets import BUILT_IN, POINTS
from mnist_hpc.study.layout import RAW_FILES, TABLES, Block, Part, Work

DEFAULTS: dict[str, Any] = {
    "loss": "CategoricalCrossentropy",
    "threads": 1,
    "device": "gpu",
    "runtime": 60,
    "mem_mb": 8000,  # CUDA, cuDNN and XLA take some of it
}
# The keys of a variant that decide its numbers; the others say where, how often and with which limits it runs.
TRAINING_KEYS: tuple[str, ...] = ("layers", "loss", "optimizer", "batch_size", "steps", "epochs", "l2", "initial_scale")
TRAINING_KEYS += ("augmentation", "dtype_policy", "threads", "snapshots")
NO_LIMIT = 2**31
# Test accuracy that a training on points of the plane must reach to succeed, if the config does not say.
SUCCESS = 0.99


@dataclass(frozen=True)
class Variant:
    """A variant with all its keys, those of its base and the defaults included."""

    name: str
    dataset: str
    seeds: int
    keys: Mapping[str, Any]
    base: str | None = None
    seeds_per_job: int = 5
    grid: Mapping[str, list[Any]] | None = None  # what its sweep (``from_sweep``) tries, see ``Sweep.values``
    runtime_given: bool = False  # whether the config gives its ``runtime``, itself or in a base

    @property
    def from_sweep(self) -> str | None:
        """The sweep whose best point's values it uses."""
        return self.keys.get("from_sweep")

    @property
    def success(self) -> float | None:
        """The test accuracy a seed must reach to succeed; None where that is not counted, as for digits."""
        return self.keys.get("success", SUCCESS if self.dataset in POINTS else None)

    @property
    def gpu_slots(self) -> int:
        """How many slots of a GPU one of its processes takes: none if it computes on the CPU."""
        return 0 if self.keys["device"] == "cpu" else 1

    @property
    def specification(self) -> dict[str, Any]:
        """All that decides the numbers of the variant, before a sweep's choice replaces some of it."""
        return {key: self.keys[key] for key in TRAINING_KEYS if key in self.keys}

    @cached_property
    def json(self) -> str:
        """What reaches the training, as one JSON string with sorted keys: without values that a sweep replaces."""
        return json.dumps(grids.without_values(self.specification, self.grid or {}), sort_keys=True)


@dataclass(frozen=True)
class Sweep:
    """A search for the hyper-parameters of one variant."""

    name: str
    variant: Variant  # has all that the dimensions do not name, with the sweep's own threads and limits
    dimensions: Mapping[str, spaces.Dimension]  # what is tried, by key
    points: list[int] | int  # places in the grid that are tried, or the number of points of a space
    images: int | None  # that each point sees, if that decides its steps
    halving: Mapping[str, Any] | None  # with the defaults, see ``mnist_hpc.study.halving``
    seeds: int  # number of seeds of each point
    jobs: int  # number of jobs that share it
    pack_mb: int  # memory that points trained together may take, MB

    @property
    def kind(self) -> str:
        """``grid`` or ``space``."""
        return "space" if isinstance(self.points, int) else "grid"

    @property
    def count(self) -> int:
        """Number of its points."""
        return self.points if isinstance(self.points, int) else len(self.points)

    @property
    def values(self) -> dict[str, list[Any]]:
        """The values that it tries, by key; of a range, both ends."""
        return values_of(self.dimensions)

    @property
    def folder(self) -> str:
        """Folder of its results, relative to ``results``."""
        return f"{self.variant.dataset}/sweeps/{self.name}"

    @property
    def files(self) -> list[str]:
        """Results of the whole sweep, relative to ``results``."""
        return [f"{self.folder}/{name}" for name in ("points.csv", "best.json")]

    @property
    def parts(self) -> list[Part]:
        """What each of its jobs trains."""
        return [Part(self.variant.dataset, self.name, number, self.jobs) for number in range(1, self.jobs + 1)]

    @cached_property
    def json(self) -> str:
        """What decides its numbers, as one JSON string with sorted keys; the order of dimensions is that of points."""
        content = {
            "specification": grids.without_values(self.variant.specification, values_of(self.dimensions, self.images)),
            self.kind: list(self.dimensions.items()),
            "seeds": self.seeds,
            "points": self.points,
            "pack_mb": self.pack_mb,
        }
        content |= {"images": self.images} if self.images else {}
        content |= {"halving": {**self.halving, "brackets": self.jobs}} if self.halving else {}
        return json.dumps(content, sort_keys=True)


class Study:
    """A whole study: data sets, and variants and sweeps in the order of the config."""

    def __init__(self, content: Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> None:
        """Resolve the content of a config, see ``config.read``; ``overrides`` are what the command line changed."""
        self.overrides = json.dumps(overrides or {}, sort_keys=True)
        self.dataset: str = content["dataset"]
        self.entries: dict[str, Any] = content["datasets"]  # of IDX data sets
        self.search_path: list[str] = content.get("search_path", [])  # folders that may hold their files
        self.variants = {name: self._variant(name, content) for name in content["variants"]}
        self._sweeps: dict[str, Any] = content.get("sweeps", {})
        self._seeds: int = content["seeds"]
        # Of sweeps, in a trial with `max_epochs`, which replaces results anyway. With `max_seeds` alone, a quick look
        # would replace the whole of a sweep, which has no blocks of seeds.
        self._sweep_seeds: int = content.get("max_seeds", NO_LIMIT) if "max_epochs" in content else NO_LIMIT
        self._max_epochs: int | None = content.get("max_epochs")
        self.drawn: list[str] = content.get("draw", [])  # the variants that read digits drawn in the report
        self.ensembles: dict[str, list[str]] = content.get("ensembles", {})  # the variants of each

    @classmethod
    def read(cls, path: Path, overrides: Mapping[str, Any] | None = None) -> "Study":
        """Return the study of a valid config; raises UserError as ``config.read``."""
        return cls(config.read(path, overrides), overrides)

    @cached_property
    def sweeps(self) -> dict[str, Sweep]:
        """Sweeps by name, in the order of the config."""
        return {name: self._sweep(name, keys) for name, keys in self._sweeps.items()}

    @cached_property
    def blocks(self) -> list[Block]:
        """All blocks; block k of a variant begins with seed k × its seeds_per_job."""
        return [
            Block(variant.dataset, variant.name, first, min(first + variant.seeds_per_job, variant.seeds) - 1)
            for variant in self.variants.values()
            for first in range(0, variant.seeds, variant.seeds_per_job)
        ]

    @property
    def works(self) -> list[Work]:
        """The blocks of the study and the parts of its sweeps, each of which is one job."""
        return [*self.blocks, *(part for sweep in self.sweeps.values() for part in sweep.parts)]

    def blocks_of(self, variant: str) -> list[Block]:
        """Return the blocks of one variant."""
        return [block for block in self.blocks if block.variant == variant]

    @property
    def datasets(self) -> list[str]:
        """Names of the data sets that some variant uses, and of the study's own."""
        return sorted({self.dataset, *(variant.dataset for variant in self.variants.values())})

    @property
    def files(self) -> list[str]:
        """Results that a user may look at or delete, relative to ``results``."""
        own = [file for block in self.blocks for file in block.files]
        return [*own, *(block.perturbed for block in self.blocks_of_images), *self.sweep_files, *self.tables]

    @property
    def blocks_of_images(self) -> list[Block]:
        """The blocks whose data set has images, which `perturb` can transform."""
        return [block for block in self.blocks if len(self.facts(block.dataset)[1]) == 3]

    @property
    def sweep_files(self) -> list[str]:
        """Results of all sweeps, relative to ``results``."""
        return [file for sweep in self.sweeps.values() for file in sweep.files]

    @property
    def tables(self) -> list[str]:
        """The tables with their provenance, relative to ``results``."""
        return [f"{self.dataset}/tables/{name}" for name in TABLES]

    @property
    def hash(self) -> str:
        """Hash of what the tables list: variants with their seeds and specifications, in any order."""
        listed = {
            name: (
                *(variant.dataset, variant.seeds, variant.seeds_per_job, variant.success, variant.json),
                *(variant.base, variant.from_sweep),
            )
            for name, variant in self.variants.items()
        }
        sweeps = {name: sweep.json for name, sweep in self.sweeps.items()}
        return specification_hash([self.dataset, listed, sweeps, self.ensembles])

    def choice(self, variant: str) -> list[str]:
        """Return the file in which a sweep's choice for a variant lies, relative to ``results``; empty without one."""
        sweep = self.variants[variant].from_sweep
        return [f"{self.sweeps[sweep].folder}/best.json"] if sweep else []

    def raw_files(self, dataset: str) -> list[str]:
        """Return the raw files of a data set, relative to ``results``; empty for a built-in one."""
        return [f"{dataset}/data/{name}" for name in RAW_FILES.values()] if dataset in self.entries else []

    def source(self, dataset: str) -> str:
        """Return the module of ``mnist_hpc.data.sources`` that loads a data set."""
        return "idx_files" if dataset in self.entries else dataset

    def entry(self, dataset: str) -> str:
        """Return the entry of a data set as JSON: that of the config, or the facts of a built-in one."""
        return json.dumps(self.entries.get(dataset) or BUILT_IN[dataset], sort_keys=True)

    def facts(self, dataset: str) -> tuple[int, tuple[int, ...], int]:
        """Return classes, shape of an example and number of training examples of a data set."""
        if dataset in self.entries:
            entry = self.entries[dataset]
            images, rows, columns = entry["files"]["train_images"]["shape"]
            return entry["classes"], (rows, columns, 1), images - entry["validation"]
        known = BUILT_IN[dataset]
        return known["classes"], tuple(known["input_shape"]), known["train_examples"]

    def _variant(self, name: str, content: Mapping[str, Any]) -> Variant:
        """Return a variant with the keys of its bases and the defaults."""
        given = inherited(name, content)
        keys = DEFAULTS | given
        keys["layers"] = [grids.named(layer) for layer in keys["layers"]]
        keys["optimizer"], keys["loss"] = grids.named(keys["optimizer"]), grids.named(keys["loss"])
        seeds = min(keys.get("seeds", content["seeds"]), content.get("max_seeds", NO_LIMIT))
        if "epochs" in keys and "max_epochs" in content:
            keys["epochs"] = min(keys["epochs"], content["max_epochs"])
        sweep = content.get("sweeps", {}).get(keys.get("from_sweep"))
        base = content["variants"][name].get("base")
        grid = sweep and values_of(sweep.get("grid") or sweep["space"], sweep.get("images"))
        per_job = keys.get("seeds_per_job", content.get("seeds_per_job", 5))
        return Variant(name, keys.get("dataset", self.dataset), seeds, keys, base, per_job, grid, "runtime" in given)

    def _sweep(self, name: str, keys: Mapping[str, Any]) -> Sweep:
        """Return a sweep with the points that see no more images than it allows."""
        own = {key: keys[key] for key in ("threads", "runtime", "mem_mb") if key in keys}
        variant = self.variants[keys["variant"]]
        # A sweep keeps no models.
        swept = {key: value for key, value in variant.keys.items() if key != "snapshots"}
        variant = replace(variant, keys=swept | own)
        points = keys["points"] if "space" in keys else self._of_grid(name, keys, variant)
        seeds = min(keys.get("seeds", self._seeds), self._sweep_seeds)
        dimensions, jobs = keys.get("grid") or keys["space"], keys.get("jobs", 1)
        halved = self._halving(keys["halving"], variant, dimensions) if "halving" in keys else None
        images = keys.get("images")
        if images and self._max_epochs:
            _, _, examples = self.facts(variant.dataset)
            images = min(images, self._max_epochs * examples)
        return Sweep(name, variant, dimensions, points, images, halved, seeds, jobs, keys.get("pack_mb", 1000))

    def _of_grid(self, name: str, keys: Mapping[str, Any], variant: Variant) -> list[int]:
        """Return the places of the points of a grid that see no more images than their sweep allows."""
        points = grids.points(variant.specification, keys["grid"])
        if "max_images" not in keys:
            return list(range(len(points)))
        _, _, examples = self.facts(variant.dataset)
        seen = [grids.images_seen(point.specification, examples) for point in points]
        places = [place for place, images in enumerate(seen) if images <= keys["max_images"]]
        if not places:
            raise UserError(f"sweeps.{name}.max_images: found {keys['max_images']}, expected {min(seen)} or more")
        return places

    def _halving(
        self, given: Mapping[str, Any], variant: Variant, dimensions: Mapping[str, spaces.Dimension]
    ) -> dict[str, Any]:
        """Return how a sweep is halved, with the defaults; the first share as text, like 1/9."""
        rates = {key: spaces.bounds(dimensions[key]) for key in ("optimizer", "learning_rate") if key in dimensions}
        points = grids.points(variant.specification, rates)
        scheduled = any(schedules.scheduled(point.specification) for point in points)
        first = halving.FIRST_OF_SCHEDULE if scheduled else halving.FIRST
        keys = {**halving.DEFAULTS, **given}
        fresh = min(keys["fresh_seeds"], self._sweep_seeds)
        return keys | {"first": str(halving.share(given.get("first", first))), "fresh_seeds": fresh}


def values_of(dimensions: Mapping[str, spaces.Dimension], images: int | None = None) -> dict[str, list[Any]]:
    """Return the values that a sweep tries, by key: of a range both ends, and steps if images decide them."""
    values = {key: spaces.bounds(dimension) for key, dimension in dimensions.items()}
    return values | {"steps": [images]} if images else values


def inherited(name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a variant's keys on top of those of its base, with layer groups expanded.

    Own ``steps`` replace the base's ``epochs``, and the other way around.
    """
    own = dict(content["variants"][name])
    if "layers" in own:
        groups = content.get("layer_groups", {})
        parts = [groups.get(item, [item]) if isinstance(item, str) else [item] for item in own["layers"]]
        own["layers"] = [layer for part in parts for layer in part]
    if "base" not in own:
        return own
    keys = inherited(own.pop("base"), content)
    if removed := set(own.pop("without", ())):
        keys["layers"] = [layer for layer in keys.get("layers", []) if not removed & set(grids.named(layer))]
    if "steps" in own or "epochs" in own:
        keys = {key: value for key, value in keys.items() if key not in ("steps", "epochs")}
    return keys | own
