"""Weights as images: what a linear model looks for in a digit, and what the first layer of a convolutional net sees."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.training.models_file import read_models

COLUMNS = {"templates": 5, "filters": 8}


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the templates of all linear variants, or the filters of all convolutional ones; of their first seed."""
    for variant, file in figures.files(study, kind).items():
        block = study.blocks_of(variant)[0]
        specification, models = read_models(results / block.folder / "models.h5")
        done = {seed: model for seed, model in models.items() if model.weights}
        seed = min(done, default=None)
        pictures = [] if seed is None else images(done[seed].weights, specification["input_shape"])
        dataset = study.variants[variant].dataset
        what = {
            "templates": "the weights of each class\nblue: ink here speaks for it; red: against",
            "filters": "filters of the first layer\nblue: positive, red: negative weights",
        }
        title = f"{variant} on {dataset}, seed {seed}: {what[kind]}"
        gallery(pictures, title, COLUMNS[kind], results / file, numbered=kind == "templates")


def images(weights: dict[str, np.ndarray], input_shape: list[int]) -> list[np.ndarray]:
    """Return the first kernel of a model as one image a unit or filter."""
    kernel = next(value for name, value in weights.items() if name.endswith("/kernel"))
    if kernel.ndim == 2:
        kernel = kernel.reshape(*input_shape, -1)
    return list(np.moveaxis(kernel[:, :, 0], -1, 0))


def gallery(pictures: list[np.ndarray], title: str, columns: int, path: Path, *, numbered: bool) -> None:
    """Draw images beside and below each other, all on one scale that has zero in its middle.

    Args:
        pictures: float (rows, columns) each.
        title: of the figure.
        columns: how many beside each other.
        path: of the SVG to write.
        numbered: whether the place of an image is its class, and is shown.
    """
    rows = max(1, -(-len(pictures) // columns))
    side = style.WIDTH / columns
    with style.figure(path, 0.55 + rows * (side + 0.15 * numbered), title) as made:
        if not pictures:
            return style.say_nothing_is_there(made, "no training of this variant ended well")
        largest = max(np.abs(picture).max() for picture in pictures) or 1
        panels = made.subplots(rows, columns, squeeze=False).ravel()
        for axes in panels:
            axes.set_axis_off()
        for place, (axes, picture) in enumerate(zip(panels, pictures, strict=False)):
            axes.imshow(picture, cmap=plt.colormaps["RdBu"], vmin=-largest, vmax=largest, interpolation="none")
            axes.set_title(str(place) if numbered else "")
    return None
