"""Weights as images: the templates of a linear model, and the filters of the first layer of a convolutional net."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.training.models_file import read_models

COLUMNS = {"templates": 5, "filters": 8}
MEANING = {
    "templates": "the weights of each class\nblue: ink here speaks for the class; red: against it",
    "filters": "filters of the first layer\nblue: positive, red: negative weights",
}


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the templates of all linear variants, or the filters of all convolutional ones, of their first seed."""
    for variant, file in figures.files(study, kind).items():
        specification, models = read_models(results / study.blocks_of(variant)[0].folder / "models.h5")
        seed = min((seed for seed, model in models.items() if model.weights), default=None)
        pictures = [] if seed is None else images(models[seed].weights, specification["input_shape"])
        title = f"{variant} on {study.variants[variant].dataset}, seed {seed}: {MEANING[kind]}"
        gallery(pictures, title, COLUMNS[kind], results / file, numbered=kind == "templates")


def images(weights: dict[str, np.ndarray], input_shape: list[int]) -> list[np.ndarray]:
    """Return the first kernel of a model as one image per unit or filter."""
    kernel = next(value for name, value in weights.items() if name.endswith("/kernel"))
    if kernel.ndim == 2:
        kernel = kernel.reshape(*input_shape, -1)
    return list(np.moveaxis(kernel[:, :, 0], -1, 0))


def gallery(pictures: list[np.ndarray], title: str, columns: int, path: Path, *, numbered: bool) -> None:
    """Draw float images (rows, columns) on one scale with zero in its middle, each with its class if ``numbered``."""
    rows = max(1, -(-len(pictures) // columns))
    height = 0.55 + rows * (style.WIDTH / columns + 0.15 * numbered)
    with style.figure(path, height, title) as made:
        if not pictures:
            style.note(made, "no training of this variant succeeded")
            return
        largest = max(np.abs(picture).max() for picture in pictures) or 1
        for place, axes in enumerate(style.panels(made, len(pictures), columns)):
            axes.set_axis_off()
            axes.imshow(pictures[place], cmap=plt.colormaps["RdBu"], vmin=-largest, vmax=largest, interpolation="none")
            axes.set_title(str(place) if numbered else "")
