"""What all figures have in common: width, type, colours, and how they are written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from mnist_hpc.files.atomic import atomic

mpl.use("svg")
import matplotlib.pyplot as plt

# Inches. As wide as a phone is at this size of type, and as a column is in print; what needs more room grows downwards.
WIDTH = 5.2
# Okabe and Ito's colours, which colour-blind readers can tell apart (https://jfly.uni-koeln.de/color).
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
GREY = "0.45"
# What a loss is called on an axis, with its unit; means an image.
LOSSES = {"CategoricalCrossentropy": "cross entropy, nats", "SquaredError": "squared error"}
# Accuracies that get a tick where errors are on a logarithmic scale.
TICKS = (0.1, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999, 0.9995, 0.9999)
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "figure.titlesize": 10,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "svg.fonttype": "none",  # text as text: small, searchable, read aloud
    "svg.hashsalt": "mnist-hpc",  # the same picture in the same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.cmap": "viridis",
}


@contextmanager
def figure(path: Path, height: float, title: str, layout: str | None = "constrained") -> Iterator[mpl.figure.Figure]:
    """Yield an empty figure of this height (inches) in the common style; write it as SVG when the block succeeds.

    Args:
        path: of the SVG.
        height: of the figure, inches.
        title: says what is shown, of which data set, and n.
        layout: engine of matplotlib.
    """
    with mpl.rc_context(STYLE):
        made = plt.figure(figsize=(WIDTH, height), layout=layout)
        try:
            made.suptitle(title, x=0.01, ha="left", wrap=True)
            yield made
            with atomic(path) as temporary:
                made.savefig(temporary, format="svg", metadata={"Date": None, "Title": title.replace("\n", " ")})
        finally:
            plt.close(made)


def say_nothing_is_there(made: mpl.figure.Figure, text: str = "no run is there yet") -> None:
    """Write in the middle of a figure that there is nothing to draw."""
    made.text(0.5, 0.4, text, ha="center", va="center", color=GREY)


def percent(fraction: float, digits: int = 2) -> str:
    """Return a fraction as text, as 91.83 %."""
    return f"{100 * fraction:.{digits}f} %"


def error_axis(axes: mpl.axes.Axes, which: str, errors: Sequence[float], whole: float | None = None) -> None:
    """Scale an axis by the logarithm of errors, the smallest at its far end, and label it with accuracies.

    Args:
        axes: whose axis.
        which: "x" or "y".
        errors: above zero, that must find a place.
        whole: where errors of zero are drawn, if there are any.
    """
    low, high = (min(errors) / 1.3, min(max(errors) * 1.3, 1)) if len(errors) else (0.01, 0.1)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log", f"{which}lim": (high, low)})
    ticks = {1 - accuracy: f"{100 * accuracy:.4g}" for accuracy in TICKS if (whole or low) * 1.5 < 1 - accuracy <= high}
    ticks |= {whole: "100"} if whole else {}
    places = list(ticks)
    if which == "x":  # labels side by side need more room than above each other
        places = [place for before, place in pairwise([np.inf, *places]) if np.log10(before / place) > 0.12]
    axis.set_ticks(places, [ticks[place] for place in places])
    axis.set_minor_locator(mpl.ticker.NullLocator())
    axis.grid(color="0.92", linewidth=0.6)
    axes.set_axisbelow(True)


def floor(errors: np.ndarray) -> tuple[float, float | None]:
    """Return where the smallest of these errors is drawn on a logarithmic scale, and, if it is zero, that once more."""
    above = errors[errors > 0]
    lowest = float(above.min()) if above.size else 1e-2
    return (lowest / 10, lowest / 10) if (errors <= 0).any() else (lowest, None)


def loss_axis(axes: mpl.axes.Axes) -> None:
    """Scale the axis of y by the logarithm of losses, with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
