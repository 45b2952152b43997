"""Names of results: where they lie, which columns they have, and what each job works on. Imports nothing heavy.

All paths are relative to the folder ``results``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# A job in a command line of Snakemake, as `train:dataset=mnist,variant=cnn,first=0,last=4`.
IN_COMMAND = re.compile(r"\b(?:train|evaluate|perturb|sweep):((?:[a-z]+=[\w-]+,?)+)")
# The raw files of an IDX data set in its data folder, whatever they are called at their source.
RAW_FILES = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
HASHES = ("spec_hash", "data_hash", "code_hash")
RUN_COLUMNS = [
    *("dataset", "variant", "seed", "status", "test_accuracy", "test_loss"),
    *("validation_accuracy", "validation_loss", "parameters", "steps", "batch_size", "loss", "train_seconds"),
    *("images_per_second", "device", "threads", *HASHES),
    *("failed_step", "train_accuracy", "train_loss", "dtype_policy", "startup_seconds", "compile_seconds"),
    *("process_seconds", "evaluation_code_hash", "windows", "jobs", "started", "finished", "commit"),
    *("version", "python", "tensorflow", "keras", "numpy", "host", "driver", "cuda", "cudnn", "settings"),
]
# Columns of texts that may look like numbers, such as the commit 123456789e12 or the version 12.10.
TEXTS = (*HASHES, "evaluation_code_hash", "commit", "version", "python", "host", "driver", "cuda", "cudnn")
HISTORY_COLUMNS = [
    *("dataset", "variant", "seed", "step", "epoch", "train_loss", "train_accuracy"),
    *("validation_loss", "validation_accuracy", "train_seconds"),
]
PERTURBED_COLUMNS = [
    *("dataset", "variant", "seed", "transform", "level", "test_accuracy", "test_loss"),
    *(*HASHES, "perturbation_code_hash"),
]
POINT_KEYS = ("dataset", "sweep", "variant")
POINT_RESULTS = (
    *("seed", "rung", "status", "steps", "images", "train_seconds"),
    *("validation_accuracy", "validation_loss"),
)
# The tables of a study, with what they were made from.
TABLES = (
    *("runs.csv", "variants.csv", "comparisons.csv", "ensembles.csv", "sweeps.csv", "classes.csv", "confusions.csv"),
    *("calibration.csv", "reliability.csv", "robustness.csv", "provenance.json"),
)


def point_columns(keys: Iterable[str]) -> list[str]:
    """Return the columns of points.csv for a sweep over these keys."""
    return list(dict.fromkeys(["point", *POINT_KEYS, *keys, *POINT_RESULTS, *HASHES]))


@dataclass(frozen=True)
class Block:
    """The seeds ``first`` to ``last`` of one variant, which one job trains."""

    dataset: str
    variant: str
    first: int
    last: int

    @property
    def seeds(self) -> range:
        """The seeds of the block."""
        return range(self.first, self.last + 1)

    @property
    def folder(self) -> str:
        """Folder of its results."""
        return f"{self.dataset}/runs/{self.variant}/seeds-{self.first}-{self.last}"

    @property
    def files(self) -> list[str]:
        """Its results."""
        return [f"{self.folder}/{name}" for name in ("models.h5", "history.csv", "metrics.csv", "predictions.h5")]

    @property
    def perturbed(self) -> str:
        """Its results on transformed test images, if its data set has images."""
        return f"{self.folder}/perturbed.csv"

    @property
    def record(self) -> str:
        """Record of the attempts of its job."""
        return f"state/{self.dataset}/{self.variant}/seeds-{self.first}-{self.last}.json"

    @property
    def name(self) -> str:
        """Name of the variant."""
        return self.variant

    def __str__(self) -> str:
        return f"{self.dataset} {self.variant} seeds {self.first} to {self.last}"


@dataclass(frozen=True)
class Part:
    """One of several equal shares of a sweep, which one job trains."""

    dataset: str
    sweep: str
    number: int
    parts: int

    @property
    def files(self) -> list[str]:
        """Its results."""
        stem = f"{self.dataset}/sweeps/{self.sweep}/part-{self.number}-of-{self.parts}"
        return [f"{stem}.csv", f"{stem}.h5"]

    @property
    def record(self) -> str:
        """Record of the attempts of its job; no variant can have the name of the folder."""
        return f"state/{self.dataset}/sweep.{self.sweep}/part-{self.number}-of-{self.parts}.json"

    @property
    def name(self) -> str:
        """Name of the sweep among those of variants."""
        return f"sweep.{self.sweep}"

    def __str__(self) -> str:
        return f"{self.dataset} sweep {self.sweep} part {self.number} of {self.parts}"


Work = Block | Part


def of_wildcards(wildcards: Any) -> Work:
    """Return what a job with these wildcards, of Snakemake or a mapping, works on."""
    values = dict(wildcards.items())
    if "sweep" in values:
        return Part(values["dataset"], values["sweep"], int(values["part"]), int(values["parts"]))
    return Block(values["dataset"], values["variant"], int(values["first"]), int(values["last"]))


def find(text: str) -> Work | None:
    """Return what the first job in a command line or log of Snakemake works on, or None if there is none."""
    match = IN_COMMAND.search(text)
    return of_wildcards(dict(pair.split("=") for pair in match[1].strip(",").split(","))) if match else None
