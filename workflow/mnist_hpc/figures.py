"""Pictures of a study, drawn from its tables; SVG with text as text."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from mnist_hpc import storage

mpl.use("svg")
import matplotlib.pyplot as plt

# The lecture's number for its first model, slide "Testing Regression MNIST".
LECTURE = 0.9183
# Okabe and Ito's blue and vermilion, which colour-blind readers can tell apart.
BLUE, VERMILION = "#0072B2", "#D55E00"
# Accuracies that get a tick where errors are on a logarithmic scale.
TICKS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999)
STYLE = {
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "mnist-hpc",  # the same picture in the same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def accuracy_time(variants: pd.DataFrame, dataset: str, path: Path) -> None:
    """Draw test accuracy against training time: one point a variant with its 95 % interval, names beside.

    Args:
        variants: the table of that name.
        dataset: whose variants are drawn.
        path: of the SVG to write.
    """
    shown = variants[(variants["dataset"] == dataset) & (variants["n"] > 0)].sort_values("test_accuracy_mean")
    seconds, errors = shown["train_seconds_mean"], 1 - shown["test_accuracy_mean"]
    errors = errors.clip(lower=errors[errors > 0].min() / 2 if (errors > 0).any() else 1e-4)  # a logarithm has no zero
    half = (shown["test_accuracy_ci95_high"] - shown["test_accuracy_mean"]).fillna(0)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.5, max(4.0, 0.24 * len(shown) + 1)), layout="constrained")
        axes.set_xscale("log")
        if len(shown):
            axes.set_xlim(seconds.min() / 2, seconds.max() * 2)
        _errors_downwards(axes, [*errors, *([1 - LECTURE] if dataset == "mnist" else [])])
        axes.errorbar(
            *(seconds, errors),
            yerr=[np.minimum(half, errors / 2), half],
            fmt="o",
            markersize=4,
            linewidth=1,
            color=BLUE,
        )
        _names_beside(axes, shown, seconds, errors)
        if dataset == "mnist":
            axes.axhline(1 - LECTURE, color=VERMILION, linewidth=1, linestyle="--")
            text = f"the lecture: {LECTURE:.2%}".replace("%", " %")
            place = {"xycoords": ("axes fraction", "data"), "xytext": (0, 3), "textcoords": "offset points"}
            axes.annotate(text, (0.02, 1 - LECTURE), **place, color=VERMILION, fontsize=8)
        axes.set_xlabel("training of one seed, s (start-up and validation not counted)")
        axes.set_ylabel("test accuracy, mean over seeds and its 95 % interval")
        axes.set_title(f"Accuracy against training time, {dataset}", fontsize=11, loc="left")
        with storage.atomic(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})
        plt.close(figure)


def _errors_downwards(axes: plt.Axes, errors: Sequence[float]) -> None:
    """Scale an axis by the logarithm of errors, the smallest at the top, and label it with accuracies."""
    low, high = (min(errors) / 1.3, max(errors) * 1.3) if errors else (0.01, 0.1)
    axes.set_yscale("log")
    axes.set_ylim(high, low)
    ticks = [1 - accuracy for accuracy in TICKS if low <= 1 - accuracy <= high]
    axes.set_yticks(ticks, [f"{100 * (1 - tick):.4g} %" for tick in ticks])
    axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.grid(axis="y", color="0.92")


def _names_beside(axes: plt.Axes, shown: pd.DataFrame, seconds: pd.Series, errors: pd.Series) -> None:
    """Name points in a column beside the axes, in their order: however many there are, none hides another."""
    if shown.empty:
        axes.text(0.5, 0.5, "no run is there yet", transform=axes.transAxes, ha="center")
    places = np.linspace(0.01, 0.99, len(shown)) if len(shown) > 1 else [0.5]
    line = {"arrowstyle": "-", "color": "0.8", "linewidth": 0.6, "shrinkB": 3, "relpos": (0, 0.5)}
    for place, row, second, error in zip(places, shown.to_dict("records"), seconds, errors, strict=False):
        text = f"{row['variant']}  {row['test_accuracy_mean'] * 100:.2f} %  (n = {row['n']})"
        axes.annotate(
            *(text, (second, error), (1.04, place)),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            arrowprops=line,
            annotation_clip=False,
        )


FIGURES = {"accuracy-time": accuracy_time}
