"""Learning curves: loss and accuracy during training, as the mean and the range over a variant's seeds."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.files import csv_table
from mnist_hpc.study.layout import HISTORY_COLUMNS
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the learning curves of all variants."""
    for variant, file in figures.files(study, kind).items():
        files = [results / block.folder / "history.csv" for block in study.blocks_of(variant)]
        rows = [row for path in files for row in csv_table.read(path)]
        history = collect.frame(rows, HISTORY_COLUMNS, HISTORY_COLUMNS[2:])
        (loss,) = study.variants[variant].keys["loss"]
        curves(history, variant, study.variants[variant].dataset, style.LOSSES[loss], results / file)


def curves(history: pd.DataFrame, variant: str, dataset: str, loss: str, path: Path) -> None:
    """Draw loss and accuracy against epochs, from the rows of history.csv of all seeds; ``loss`` labels an axis."""
    title = f"{variant} on {dataset}: learning curves (n = {history['seed'].nunique()})"
    with style.figure(path, 2.6, title) as made:
        if history.empty:
            style.note(made, "the training failed before its first validation")
            return
        panels = {"loss": (loss, 1), "accuracy": ("accuracy, %", 100)}
        for axes, (name, (label, scale)) in zip(made.subplots(1, 2), panels.items(), strict=True):
            for part, colour, line in (("train", style.ORANGE, "--"), ("validation", style.BLUE, "-")):
                values = scale * history.groupby("epoch")[f"{part}_{name}"].agg(["mean", "min", "max"])
                axes.fill_between(values.index, values["min"], values["max"], color=colour, alpha=0.25, linewidth=0)
                text = part.replace("train", "training")
                axes.plot(values.index, values["mean"], color=colour, linestyle=line, label=text)
                if len(values) == 1:
                    axes.plot(values.index, values["mean"], "o", color=colour)
            axes.set(xlabel="passes over the training data", ylabel=label)
            axes.grid(**style.GRID)
        if (history[["train_loss", "validation_loss"]] > 0).all(axis=None):
            axes = made.axes[0]
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        made.axes[1].legend(loc="lower right")
