"""Learning curves: loss and accuracy while a variant learns, mean over its seeds and the band they lie in."""

import itertools
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.files import csv_table
from mnist_hpc.study.layout import HISTORY_COLUMNS
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect

PARTS = {"train": (style.ORANGE, "training", "--"), "validation": (style.BLUE, "validation", "-")}


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the learning curves of all variants."""
    for variant, file in figures.files(study, kind).items():
        parts = [csv_table.read(results / block.folder / "history.csv") for block in study.blocks_of(variant)]
        columns = HISTORY_COLUMNS
        history = collect.frame(itertools.chain(*parts), columns, columns[2:])
        (loss,) = study.variants[variant].keys["loss"]
        curves(history, variant, study.variants[variant].dataset, style.LOSSES[loss], results / file)


def curves(history: pd.DataFrame, variant: str, dataset: str, loss: str, path: Path) -> None:
    """Draw loss and accuracy against epochs.

    Args:
        history: rows of all seeds; columns as in history.csv.
        variant: its name.
        dataset: it was trained on.
        loss: what its loss is called, with its unit.
        path: of the SVG to write.
    """
    title = f"{variant} on {dataset}: learning curves (n = {history['seed'].nunique()})"
    with style.figure(path, 2.6, title) as made:
        if history.empty:
            return style.say_nothing_is_there(made, "the training failed before it was validated once")
        panels = {"loss": loss, "accuracy": "accuracy, %"}
        for axes, (name, label) in zip(made.subplots(1, 2), panels.items(), strict=True):
            for part, (colour, text, line) in PARTS.items():
                _band(axes, history, f"{part}_{name}", 100 if name == "accuracy" else 1, (colour, text, line))
            axes.set_xlabel("passes over the training data")
            axes.set_ylabel(label)
            axes.grid(color="0.92", linewidth=0.6)
        if (history[["train_loss", "validation_loss"]] > 0).all(axis=None):
            style.loss_axis(made.axes[0])
        made.axes[1].legend(loc="lower right")
    return None


def _band(axes: Axes, history: pd.DataFrame, column: str, scale: float, look: tuple[str, str, str]) -> None:
    """Draw the mean over seeds as a line, and from the lowest to the highest seed as a band."""
    colour, text, line = look
    values = scale * history.groupby("epoch")[column].agg(["mean", "min", "max"])
    axes.fill_between(values.index, values["min"], values["max"], color=colour, alpha=0.25, linewidth=0)
    axes.plot(values.index, values["mean"], color=colour, linestyle=line, label=text)
    if len(values) == 1:
        axes.plot(values.index, values["mean"], "o", color=colour)
