"""The section of the report in which readers draw a digit and trained nets read it: HTML with its own data."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5
from mnist_hpc.report import weights
from mnist_hpc.report.scripts import joined
from mnist_hpc.study.specification import Study
from mnist_hpc.training.models_file import read_models

FOLDER = Path(__file__).parent
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, autoescape=True
)
SCRIPTS = ("net.js", "image.js", "draw.js")
# Number of mistakes of each net that can be put on the canvas.
MISTAKES = 20
# The data set whose images were made from 8×8 pixels.
COARSE = "digits"


@dataclass(frozen=True)
class Net:
    """A trained net, and what it predicted for the test images."""

    name: str  # of its variant
    model: dict[str, Any]  # for net.js
    linear: int | None  # which of its operations is the matrix of a linear model
    labels: np.ndarray  # classes of all test images, uint8 (N,)
    predicted: np.ndarray  # what the net reads them as, int64 (N,)
    hardest: np.ndarray  # positions of the images that it finds hardest, int32 (n,)
    images: dict[int, np.ndarray]  # some test images by position, uint8 (28, 28)
    sample: np.ndarray  # positions of those drawn at random, int32 (n,)


def fragment(study: Study, results: Path, current: Collection[tuple[str, int]]) -> str:
    """Return the section as HTML, or "" if no net that is to read drawings has been trained.

    It reads drawings with the first successful seeds of ``study.drawn`` among the ``current`` ones, (variant, seed).
    Raises UserError if such a variant has a layer that a browser cannot compute here.
    """
    classes, shape, examples = study.facts(study.dataset)
    if shape != weights.IMAGE:
        return ""
    nets = [net for name in study.drawn if (net := read_net(study, results, name, current))]
    missing = [name for name in study.drawn if name not in [net.name for net in nets]]
    return rendered(nets, classes, missing, examples if study.dataset == COARSE else None) if nets else ""


def read_net(study: Study, results: Path, variant: str, current: Collection[tuple[str, int]]) -> Net | None:
    """Return the first current seed of a variant that was trained and evaluated, or None; raises as ``fragment``."""
    for block in study.blocks_of(variant):
        folder = results / block.folder
        if not all((folder / name).exists() for name in ("models.h5", "predictions.h5")):
            continue
        specification, models = read_models(folder / "models.h5")
        seed = next((seed for seed, model in models.items() if model.weights and (variant, seed) in current), None)
        if seed is None:
            continue
        try:
            model = weights.exported(specification, models[seed].weights)
        except UserError as error:
            raise UserError(f"{variant}: {error}") from None
        with hdf5.reading(folder / "predictions.h5") as file:
            images: dict[int, np.ndarray] = {}
            for group in (file["sample"], file["examples"]):
                images |= dict(zip(group["index"][()].tolist(), group["images"][()], strict=True))
            return Net(
                name=variant,
                model=model,
                linear=weights.linear(model),
                labels=file["labels"][()],
                predicted=file[f"seed-{seed}/probabilities"][()].argmax(axis=1),
                hardest=file[f"seed-{seed}/hardest"][()],
                images=images,
                sample=file["sample/index"][()],
            )
    return None


def rendered(nets: Sequence[Net], classes: int, missing: Sequence[str], coarse: int | None) -> str:
    """Return the HTML for nets on one data set.

    Args:
        nets: One or more nets.
        classes: Number of classes.
        missing: Names of variants that are listed as not trained yet.
        coarse: If the images have been made from 8×8 pixels, the number of training images.
    """
    labels = nets[0].labels
    sample = sorted(nets[0].sample.tolist(), key=lambda index: (labels[index], index))
    mistakes = _mistakes(nets)
    images = {index: image for net in nets for index, image in net.images.items()}
    content = b"".join(images[index].tobytes() for index in [*sample, *mistakes])
    data = {
        "models": [{"name": net.name, "linear": net.linear, **net.model} for net in nets],
        "images": base64.b64encode(content).decode(),
        "sample": len(sample),
        "mistakes": len(mistakes),
        "coarse": bool(coarse),
    }
    return TEMPLATES.get_template("draw.html").render(
        models=nets,
        classes=classes,
        sample=[{"index": index, "label": labels[index]} for index in sample],
        mistakes=[{"index": index, "label": labels[index], "by": by} for index, by in mistakes.items()],
        sigmoid=[net.name for net in nets if net.model["output"] == "sigmoid"],
        missing=missing,
        examples=coarse,
        data=data,
        script=joined(SCRIPTS),
    )


def _mistakes(nets: Sequence[Net]) -> dict[int, list[str]]:
    """Return test images that some net misreads by position, with the names of all nets that do, the worst of each."""
    wrong: Mapping[str, np.ndarray] = {net.name: net.predicted != net.labels for net in nets}
    worst = {int(index) for net in nets for index in net.hardest[wrong[net.name][net.hardest]][:MISTAKES]}
    order = sorted(worst, key=lambda index: (nets[0].labels[index], index))
    return {index: [name for name in wrong if wrong[name][index]] for index in order}
