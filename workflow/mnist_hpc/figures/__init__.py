"""The figures of a study: what each is made from, and where it is written.

The module of a kind of figure has a function ``draw`` that draws it for all its subjects (variants or sweeps). This
module imports nothing heavy. All paths are relative to the folder ``results``.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_hpc.study.layers import LAYERS
from mnist_hpc.study.layers import names as layer_names
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import text

if TYPE_CHECKING:
    import pandas as pd

# A study of thousands of variants gets figures of the first ones; a figure of all variants shows the best.
MOST = 100
# A figure that compares variants in one panel, or has a panel for each, shows the best few.
FEW = 6


@dataclass(frozen=True)
class Kind:
    """A kind of figure."""

    module: str  # the module of this package that draws it
    inputs: Callable[[Study], list[str]]  # returns the files it is drawn from
    # Returns the variants or sweeps that have such a figure; None if there is one figure for all.
    subjects: Callable[[Study], list[str]] | None = None


def files(study: Study, kind: str) -> Mapping[str, str]:
    """Return the figures of a kind by subject; the subject is "" if there is one figure for all."""
    folder, subjects = f"{study.dataset}/figures", KINDS[kind].subjects
    if subjects is None:
        return {"": f"{folder}/{kind}.svg"}
    return {name: f"{folder}/{kind}/{name}.svg" for name in subjects(study)[:MOST]}


def kinds(study: Study, results: Path) -> list[str]:
    """Return the kinds of figures that a study has; "slurm" only after ``make resources`` has listed its jobs."""
    jobs = results / study.dataset / "tables" / "jobs.csv"
    return [kind for kind in KINDS if files(study, kind) and (kind != "slurm" or jobs.exists())]


def of_the_report(study: Study) -> list[str]:
    """Return the figures that the HTML report shows as they are."""
    return [file for kind in OF_THE_REPORT for file in files(study, kind).values()]


def counted(numbers: Collection[int]) -> str:
    """Return the number of seeds of variants as text: 5, or 5 to 10."""
    return " to ".join(map(str, sorted({min(numbers), max(numbers)})))


def leading(table: "pd.DataFrame", variants: "pd.DataFrame", dataset: str) -> list[str]:
    """Return the ``FEW`` variants of a data set in a table that ``text.leading`` chooses, best first."""
    own = variants[(variants["dataset"] == dataset) & variants["variant"].isin(table["variant"])]
    return [row["variant"] for row in text.leading(own.to_dict("records"), FEW)]


def _tables(*names: str) -> Callable[[Study], list[str]]:
    return lambda study: [f"{study.dataset}/tables/{name}.csv" for name in names]


def _runs(name: str, subjects: Callable[[Study], list[str]], *, first: bool = False) -> Callable[[Study], list[str]]:
    """Return a function that lists a file of all blocks, or of the first block, of each variant that is drawn."""

    def found(study: Study) -> list[str]:
        wanted = set(subjects(study)[:MOST])
        blocks = [block for block in study.blocks if block.variant in wanted and not (first and block.first)]
        return [f"{block.folder}/{name}" for block in blocks]

    return found


def variants(study: Study) -> list[str]:
    """Return all variants of a study."""
    return list(study.variants)


def of_images(study: Study) -> list[str]:
    """Return the variants that classify images."""
    return [name for name, variant in study.variants.items() if len(study.facts(variant.dataset)[1]) == 3]


def linear(study: Study) -> list[str]:
    """Return the variants whose weights are one template image per class."""
    layers = {name: layer_names(study.variants[name].keys["layers"]) for name in of_images(study)}
    return [
        name for name, own in layers.items() if own.count("Dense") == 1 and all(LAYERS[layer].packed for layer in own)
    ]


def convolutional(study: Study) -> list[str]:
    """Return the variants whose first layer with a kernel is a convolution."""
    layers = {name: layer_names(study.variants[name].keys["layers"]) for name in of_images(study)}
    kernels = {
        name: [layer for layer in own if layer == "Dense" or LAYERS[layer].convolution] for name, own in layers.items()
    }
    return [name for name, own in kernels.items() if own[0] == "Conv2D"]


def of_the_plane(study: Study) -> list[str]:
    """Return the variants that classify points of the plane."""
    return [name for name, variant in study.variants.items() if study.facts(variant.dataset)[1] == (2,)]


def of_three_units(study: Study) -> list[str]:
    """Return the variants that classify points of the plane with one hidden Dense layer, the first, of three units."""
    found = []
    for name in of_the_plane(study):
        variant = study.variants[name]
        layers, own = variant.keys["layers"], layer_names(variant.keys["layers"])
        # The last layer, which is Dense, gets three numbers: a layer of images between could change how many.
        shallow = own.count("Dense") == 2 and not any(LAYERS[layer].image for layer in own)
        chosen = "width" in (variant.grid or {})  # by a sweep, which may choose another number of units
        if shallow and not chosen and layers[0].get("Dense", {}).get("units") == 3:
            found.append(name)
    return found


def _of_the_plane_with_data(study: Study) -> list[str]:
    data = sorted({study.variants[name].dataset for name in of_the_plane(study)})
    return [*_runs("models.h5", of_the_plane, first=True)(study), *(f"{name}/data/train.h5" for name in data)]


KINDS = {
    "accuracy": Kind("accuracy", _tables("runs", "variants")),
    "accuracy-time": Kind("accuracy", _tables("variants")),
    "accuracy-parameters": Kind("accuracy", _tables("variants")),
    "reliability": Kind("reliability", _tables("variants", "reliability")),
    "robustness": Kind("robustness", _tables("variants", "robustness")),
    "learning-curves": Kind("curves", _runs("history.csv", variants), variants),
    "sweeps": Kind("sweeps", lambda study: study.sweep_files, lambda study: list(study.sweeps)),
    "confusions": Kind("confusions", _tables("confusions"), variants),
    "digits": Kind("digits", _runs("predictions.h5", of_images), of_images),
    "activations": Kind("activations", lambda _: []),
    "templates": Kind("weights", _runs("models.h5", linear, first=True), linear),
    "filters": Kind("weights", _runs("models.h5", convolutional, first=True), convolutional),
    "boundaries": Kind("plane", _of_the_plane_with_data, of_the_plane),
    "hidden-space": Kind("plane", _of_the_plane_with_data, of_three_units),
    "job-times": Kind("cost", _tables("runs")),
    "slurm": Kind("cost", _tables("jobs")),
}
# Kinds of figures that the HTML report shows as they are; it draws the others itself, or they are for papers.
OF_THE_REPORT = ("activations", "templates", "filters", "boundaries", "hidden-space")
