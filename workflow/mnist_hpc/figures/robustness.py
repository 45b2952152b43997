"""Accuracy on transformed test images, against how much they are transformed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.reading import read_table

# Labels of the transforms, with their units, and the level that leaves an image as it is.
TRANSFORMS = {
    "shift": ("shift, pixels", 0.0),
    "rotation": ("rotation, degrees", 0.0),
    "zoom": ("zoom, times the size", 1.0),
    "noise": ("noise, sd of grey levels from 0 to 1", 0.0),
}
LOOKS = list(
    zip(
        (style.BLUE, style.VERMILION, style.GREEN, style.ORANGE, style.PURPLE, style.SKY),
        ("o", "s", "^", "D", "v", "P"),
        strict=True,
    )
)


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the figure."""
    tables = results / study.dataset / "tables"
    measured, variants = read_table(tables / "robustness.csv"), read_table(tables / "variants.csv")
    names = figures.leading(measured, variants, study.dataset)
    transforms(measured, names, study.dataset, results / figures.files(study, kind)[""])


def transforms(measured: pd.DataFrame, names: list[str], dataset: str, path: Path) -> None:
    """Draw one panel per transform from robustness.csv: mean accuracy of each variant, ± its standard deviation."""
    shown = measured[measured["variant"].isin(names)]
    seeds = f" (n = {figures.counted(shown['n'])})" if len(shown) else ""
    title = f"Accuracy on transformed test images, %: {dataset}, mean ± sd{seeds}"
    with style.figure(path, 5.2, title) as made:
        if shown.empty:
            style.note(made)
            return
        errors = 1 - shown["test_accuracy_mean"].to_numpy(float)
        floor, whole = style.floor(errors)
        for axes, (transform, (label, still)) in zip(style.panels(made, 4, 2), TRANSFORMS.items(), strict=True):
            style.error_axis(axes, "y", np.clip(errors, floor, None), whole)
            for name, (colour, marker) in zip(names, LOOKS, strict=False):
                rows = shown[(shown["variant"] == name) & shown["transform"].isin([transform, "none"])]
                rows = rows.assign(level=rows["level"].where(rows["transform"] != "none", still)).sort_values("level")
                _draw_line(axes, rows, floor, color=colour, marker=marker, label=name)
            axes.set(xlabel=label)
        handles, labels = made.axes[0].get_legend_handles_labels()
        made.legend(handles, labels, loc="outside lower center", ncols=3)


def _draw_line(axes: Any, rows: pd.DataFrame, floor: float, **look: Any) -> None:
    """Draw the errors of one variant against the level; errors below the floor of the axis are drawn there."""
    mean, sd = 1 - rows["test_accuracy_mean"], rows["test_accuracy_sd"].fillna(0)
    axes.plot(rows["level"], mean.clip(floor), **look)
    axes.vlines(rows["level"], (mean - sd).clip(floor), (mean + sd).clip(floor), color=look["color"], linewidth=0.8)
