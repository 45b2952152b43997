"""Confusion matrices: how many test images of each class were classified as each class."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.reading import read_table


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the confusion matrices of all variants."""
    table = read_table(results / study.dataset / "tables" / "confusions.csv")
    for variant, file in figures.files(study, kind).items():
        rows = table[table["variant"] == variant]
        matrix(rows, variant, study.variants[variant].dataset, results / file)


def matrix(rows: pd.DataFrame, variant: str, dataset: str, path: Path) -> None:
    """Draw the rows of confusions.csv of one variant, mean over seeds; colours show the misclassified images."""
    count = rows["seed"].nunique()
    title = f"{variant} on {dataset}: test images by class and\npredicted class, mean over seeds (n = {count})"
    classes = int(rows["label"].max()) + 1 if count else 0
    with style.figure(path, 1.3 + 0.36 * max(classes, 4), title) as made:
        if not count:
            style.note(made)
            return
        counts = rows.groupby(["label", "predicted"])["images"].mean().unstack().to_numpy(float)
        wrong = np.where(np.eye(classes, dtype=bool), np.nan, counts)
        top = max(np.nanmax(wrong, initial=0), 1)
        axes = made.subplots()
        axes.imshow(wrong, cmap="Oranges", norm=mpl.colors.PowerNorm(0.5, 0, top), aspect="auto")
        for (label, predicted), images in np.ndenumerate(counts):
            text = f"{images:.0f}" if images > 0.5 else "·" if images else ""
            colour = style.BLUE if label == predicted else "white" if images > 0.55 * top else "black"
            axes.text(predicted, label, text, ha="center", va="center", fontsize=8, color=colour)
        found = zip(np.diag(counts), counts.sum(axis=1), strict=True)
        recall = [style.percent(hits / images, 1) if images else "–" for hits, images in found]
        axes.set(xticks=range(classes), yticks=range(classes), xlabel="predicted class", ylabel="class")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        right = style.right_labels(axes, recall)
        right.spines["right"].set_visible(False)
        right.set_ylabel("recall")
