"""Points of the plane: the decision boundaries of a net, and how its hidden layer maps a disc inside a ring."""

from pathlib import Path
from typing import Any

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
# Seeds in a figure, training points in a panel, grid points of the plane along an axis.
SEEDS, POINTS, GRID = 4, 300, 100
FAILED = "no training of this variant succeeded"


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the boundaries of all variants that classify points of the plane, or the hidden space of some."""
    device.prepare(threads=1, gpu=False)  # nets of a few units
    for variant, file in figures.files(study, kind).items():
        block = study.blocks_of(variant)[0]
        with hdf5.reading(results / block.dataset / "data" / "train.h5") as data:
            points = read_split(data["train"])
        points = Split(points.inputs[:POINTS], points.labels[:POINTS])
        drawing = boundaries if kind == "boundaries" else hidden_space
        drawing(results / block.folder / "models.h5", points, results / file)


def boundaries(path_of_models: Path, points: Split, path: Path) -> None:
    """Draw the classes that each of the first seeds in models.h5 assigns to the plane, and training points."""
    specification, shown = _networks(path_of_models, SEEDS)
    columns = min(len(shown), 2) or 1
    title = f"{specification['variant']} on {specification['dataset']}: decision boundaries of the net,\n"
    title += "and training points"
    with style.figure(path, 0.9 + 2.6 * max(1, -(-len(shown) // columns)), title) as made:
        if not shown:
            style.note(made, FAILED)
            return
        panels = style.panels(made, len(shown), columns, sharex=True, sharey=True)
        for axes, (seed, accuracy, network) in zip(panels, shown, strict=True):
            _boundary(axes, network, points, specification["classes"])
            axes.set_title(f"seed {seed}: validation accuracy {style.percent(accuracy, 1)}", fontsize=8)


def _boundary(axes: Any, network: Any, points: Split, classes: int) -> None:
    """Draw the classes that a network assigns to the plane, and the points."""
    low, high = points.inputs.min(axis=0) - 0.2, points.inputs.max(axis=0) + 0.2
    x, y = np.meshgrid(*(np.linspace(low[axis], high[axis], GRID, dtype=np.float32) for axis in (0, 1)))
    predicted = np.asarray(network(np.stack([x.ravel(), y.ravel()], axis=1))).argmax(axis=1).reshape(x.shape)
    levels = np.arange(classes + 1) - 0.5
    axes.contourf(x, y, predicted, levels=levels, colors=COLOURS, alpha=0.25)
    axes.contour(x, y, predicted, levels=levels[1:-1], colors="black", linewidths=0.8)
    for label in range(classes):
        axes.plot(*points.inputs[points.labels == label].T, ".", color=COLOURS[label], markersize=2.5)
    axes.set_aspect("equal")


def hidden_space(path_of_models: Path, points: Split, path: Path) -> None:
    """Draw training points in the space of three hidden units, and the plane that separates the classes."""
    specification, shown = _networks(path_of_models, 1)
    seed, _, network = shown[0] if shown else (None, None, None)
    title = f"{specification['variant']} on {specification['dataset']}, seed {seed}: the outputs of the hidden layer\n"
    title += "in three dimensions, where a plane separates the classes"
    with style.figure(path, 4.4, title, layout=None) as made:
        if network is None:
            style.note(made, FAILED)
            return
        hidden = points.inputs
        for layer in network.layers[:-1]:
            hidden = np.asarray(layer(hidden))
        axes = made.add_subplot(projection="3d")
        axes.set_position([0.0, 0.02, 0.95, 0.88])
        _separating_plane(axes, network.layers[-1], hidden)
        for label in range(specification["classes"]):
            some = hidden[points.labels == label].T
            axes.scatter(*some, s=4, color=COLOURS[label], depthshade=False, label=f"class {label}")
        axes.set(xlabel="unit 1", ylabel="unit 2", zlabel="unit 3")
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_major_locator(mpl.ticker.MaxNLocator(4))
        axes.legend(loc="upper left")


def _networks(path: Path, count: int) -> tuple[dict[str, Any], list[tuple[int, float, Any]]]:
    """Return the specification in models.h5, and seed, validation accuracy and network of the first trained seeds."""
    from mnist_hpc.training import models

    specification, trained = read_models(path)
    done = [(seed, model.facts["validation_accuracy"]) for seed, model in trained.items() if model.weights]
    return specification, [(seed, accuracy, models.load(path, seed)) for seed, accuracy in done[:count]]


def _separating_plane(axes: Any, output: Any, hidden: np.ndarray) -> None:
    """Draw where an output layer's logits of the first two classes are equal, within the bounding box of the points."""
    kernel, bias = np.asarray(output.kernel), np.asarray(output.bias) if output.use_bias else np.zeros(output.units)
    normal, offset = kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]
    axis = int(np.abs(normal).argmax())
    others = [other for other in range(3) if other != axis]
    low, high = hidden.min(axis=0), hidden.max(axis=0)
    coordinates = dict(zip(others, np.meshgrid(*(np.linspace(low[i], high[i], 25) for i in others)), strict=True))
    third = -(offset + sum(normal[other] * values for other, values in coordinates.items())) / normal[axis]
    third[(third < low[axis]) | (third > high[axis])] = np.nan
    coordinates[axis] = third
    axes.plot_surface(*(coordinates[i] for i in range(3)), color="0.5", alpha=0.35, linewidth=0, rasterized=True)
