"""Confusion matrices: which class is read as which."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the confusion matrices of all variants."""
    table = pd.read_csv(results / study.dataset / "tables" / "confusions.csv")
    for variant, file in figures.files(study, kind).items():
        rows = table[table["variant"] == variant]
        matrix(rows, variant, study.variants[variant].dataset, results / file)


def matrix(rows: pd.DataFrame, variant: str, dataset: str, path: Path) -> None:
    """Draw the test images of each class by what they were read as, mean over seeds; the diagonal is what was right.

    Args:
        rows: of confusions.csv.
        variant: its name.
        dataset: whose test images they are.
        path: of the SVG to write.
    """
    count = rows["seed"].nunique()
    title = f"{variant} on {dataset}: test images by class and what they\nwere read as, mean over seeds (n = {count})"
    classes = int(rows["label"].max()) + 1 if count else 0
    with style.figure(path, 1.3 + 0.36 * max(classes, 4), title) as made:
        if not count:
            return style.say_nothing_is_there(made)
        counts = rows.groupby(["label", "predicted"])["images"].mean().unstack().to_numpy(float)
        wrong = np.where(np.eye(classes, dtype=bool), np.nan, counts)
        axes = made.subplots()
        top = max(np.nanmax(wrong, initial=0), 1)
        axes.imshow(wrong, cmap="Oranges", norm=mpl.colors.PowerNorm(0.5, 0, top), aspect="auto")
        for (label, predicted), images in np.ndenumerate(counts):
            right = label == predicted
            dark = not right and images > 0.55 * top
            text = f"{images:.0f}" if images > 0.5 else ("" if images == 0 else "·")
            colour = style.BLUE if right else "white" if dark else "black"
            axes.text(predicted, label, text, ha="center", va="center", fontsize=8, color=colour)
        recall = np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
        axes.set_xticks(range(classes))
        axes.set_yticks(range(classes))
        axes.set_xlabel("read as")
        axes.set_ylabel("class")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(classes), [style.percent(value, 1) for value in recall])
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
        right.set_ylabel("of the class read rightly")
    return None
