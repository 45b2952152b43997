"""Points of the plane: where a net draws its boundary, and how its hidden layer sees a disc inside a ring."""

import os
from pathlib import Path
from typing import Any

# Before Keras is imported, which happens where models are.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import matplotlib as mpl
import numpy as np

from mnist_hpc import figures
from mnist_hpc.data.splits import Split, read_split
from mnist_hpc.figures import style
from mnist_hpc.files import hdf5
from mnist_hpc.study.specification import Study
from mnist_hpc.training import device
from mnist_hpc.training.models_file import read_models

COLOURS = (style.VERMILION, style.BLUE, style.GREEN, style.ORANGE)
# Seeds in a figure, training points in a panel, points of the plane along an axis.
SEEDS, POINTS, GRID = 4, 300, 100


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the boundaries of all variants that part points of the plane, or the hidden space of those that have one."""
    device.prepare(threads=1)
    for variant, file in figures.files(study, kind).items():
        block = study.blocks_of(variant)[0]
        models = results / block.folder / "models.h5"
        with hdf5.reading(results / block.dataset / "data" / "train.h5") as data:
            points = read_split(data["train"])
        points = Split(points.inputs[:POINTS], points.labels[:POINTS])
        (boundaries if kind == "boundaries" else hidden_space)(models, points, results / file)


def boundaries(path_of_models: Path, points: Split, path: Path) -> None:
    """Draw what each of the first seeds makes of the plane, and training points on it.

    Args:
        path_of_models: models.h5 of a block.
        points: some training examples, float32 (N, 2).
        path: of the SVG to write.
    """
    from mnist_hpc.training import models

    specification, trained = read_models(path_of_models)
    done = {seed: model for seed, model in trained.items() if model.weights}
    title = (
        f"{specification['variant']} on {specification['dataset']}: how the net parts the plane,\nand training points"
    )
    shown = dict(list(done.items())[:SEEDS])
    columns = min(len(shown), 2) or 1
    rows = max(1, -(-len(shown) // columns))
    with style.figure(path, 0.5 + 2.6 * rows, title) as made:
        if not shown:
            return style.say_nothing_is_there(made, "no training of this variant ended well")
        low, high = points.inputs.min(axis=0) - 0.2, points.inputs.max(axis=0) + 0.2
        x, y = np.meshgrid(*(np.linspace(low[axis], high[axis], GRID, dtype=np.float32) for axis in (0, 1)))
        panels = made.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes in panels[len(shown) :]:
            axes.set_axis_off()
        for axes, (seed, model) in zip(panels, shown.items(), strict=False):
            network = models.load(path_of_models, seed)
            logits = np.asarray(network(np.stack([x.ravel(), y.ravel()], axis=1)))
            classes = logits.argmax(axis=1).reshape(x.shape)
            levels = np.arange(specification["classes"] + 1) - 0.5
            axes.contourf(x, y, classes, levels=levels, colors=COLOURS, alpha=0.25)
            axes.contour(x, y, classes, levels=levels[1:-1], colors="black", linewidths=0.8)
            for label in range(specification["classes"]):
                axes.plot(*points.inputs[points.labels == label].T, ".", color=COLOURS[label], markersize=2.5)
            accuracy = style.percent(model.facts["validation_accuracy"], 1)
            axes.set_title(f"seed {seed}: validation accuracy {accuracy}", fontsize=8)
            axes.set_aspect("equal")
    return None


def hidden_space(path_of_models: Path, points: Split, path: Path) -> None:
    """Draw training points as the three units of the hidden layer see them, and the plane that parts the classes.

    Args: as for ``boundaries``.
    """
    from mnist_hpc.training import models

    specification, trained = read_models(path_of_models)
    seed = next((seed for seed, model in trained.items() if model.weights), None)
    title = f"{specification['variant']} on {specification['dataset']}, seed {seed}: the hidden layer's view\n"
    title += "in three dimensions, where a plane parts the classes"
    with style.figure(path, 4.4, title, layout=None) as made:
        if seed is None:
            return style.say_nothing_is_there(made, "no training of this variant ended well")
        network = models.load(path_of_models, seed)
        seen = np.asarray(network.layers[0](points.inputs))
        for layer in network.layers[1:-1]:
            seen = np.asarray(layer(seen))
        axes = made.add_subplot(projection="3d")
        axes.set_position([0.0, 0.02, 0.95, 0.88])
        kernel, bias = network.layers[-1].get_weights()
        _parting_plane(axes, kernel, bias, seen)
        for label in range(specification["classes"]):
            axes.scatter(
                *seen[points.labels == label].T, s=4, color=COLOURS[label], depthshade=False, label=f"class {label}"
            )
        axes.set(xlabel="unit 1", ylabel="unit 2", zlabel="unit 3")
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_major_locator(mpl.ticker.MaxNLocator(4))
        axes.legend(loc="upper left")
    return None


def _parting_plane(axes: Any, kernel: np.ndarray, bias: np.ndarray, seen: np.ndarray) -> None:
    """Draw where the logits of the first two classes are equal, inside of the box of the points."""
    normal, offset = kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]
    axis = int(np.abs(normal).argmax())
    others = [other for other in range(3) if other != axis]
    low, high = seen.min(axis=0), seen.max(axis=0)
    grid = np.meshgrid(*(np.linspace(low[other], high[other], 25) for other in others))
    third = -(offset + sum(normal[other] * values for other, values in zip(others, grid, strict=True))) / normal[axis]
    third[(third < low[axis]) | (third > high[axis])] = np.nan
    coordinates = [third] * 3
    for other, values in zip(others, grid, strict=True):
        coordinates[other] = values
    axes.plot_surface(*coordinates, color="0.5", alpha=0.35, linewidth=0, rasterized=True)
