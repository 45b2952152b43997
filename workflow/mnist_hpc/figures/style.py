"""What all figures share: width, type, colours, axes, and how they are written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from mnist_hpc.files.atomic import atomic

mpl.use("svg")
import matplotlib.pyplot as plt

# Inches. At this font size a figure fits the screen of a phone and a column in print; larger figures grow in height.
WIDTH = 5.2
# Colours by Okabe and Ito, which colour-blind readers can distinguish (https://jfly.uni-koeln.de/color).
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
GREY = "0.45"
# Label of a loss on an axis, with its unit; losses are means per image.
LOSSES = {"CategoricalCrossentropy": "cross entropy, nats", "SquaredError": "squared error"}
# Accuracies with a tick on a logarithmic axis of errors.
TICKS = (0.1, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999, 0.9995, 0.9999)
GRID: dict[str, Any] = {"color": "0.92", "linewidth": 0.6}
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
    "svg.fonttype": "none",  # text stays text: small files, searchable, readable by screen readers
    "svg.hashsalt": "mnist-hpc",  # the same figure always has the same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@contextmanager
def figure(path: Path, height: float, title: str, layout: str | None = "constrained") -> Iterator[mpl.figure.Figure]:
    """Yield an empty figure of this height (inches) in the common style; write it as SVG when the block succeeds.

    The title says what the figure shows, of which data set, and the number of seeds.
    """
    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's matplotlibrc says
        mpl.rcParams.update(STYLE)
        made = plt.figure(figsize=(WIDTH, height), layout=layout)
        try:
            # A line of the title does not break inside "n = 5".
            made.suptitle(title.replace(" = ", "\u00a0=\u00a0"), x=0.01, ha="left", wrap=True)
            yield made
            with atomic(path) as temporary:
                made.savefig(temporary, format="svg", metadata={"Date": None, "Title": title.replace("\n", " ")})
        finally:
            plt.close(made)


def note(made: mpl.figure.Figure, text: str = "no results yet") -> None:
    """Write a text into the middle of a figure that has nothing to show."""
    made.text(0.5, 0.4, text, ha="center", va="center", color=GREY)


def panels(made: mpl.figure.FigureBase, count: int, columns: int, **options: Any) -> list[mpl.axes.Axes]:
    """Return a number of panels, arranged in rows of ``columns``; the rest of the last row stays empty."""
    found = list(made.subplots(-(-count // columns), columns, squeeze=False, **options).flat)
    for axes in found[count:]:
        axes.set_axis_off()
    return found[:count]


def right_labels(axes: mpl.axes.Axes, texts: Sequence[str]) -> Any:
    """Label the rows 0, 1, ... of a chart at its right side; return the axis of these labels."""
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(texts)), texts)
    right.tick_params(length=0)
    return right


def percent(fraction: float, digits: int = 2) -> str:
    """Return a fraction as text, such as 91.83 %."""
    return f"{100 * fraction:.{digits}f} %"


def error_axis(axes: mpl.axes.Axes, which: str, errors: Sequence[float], whole: float | None = None) -> None:
    """Give an axis a logarithmic scale of errors, the smallest at its far end, labelled with accuracies.

    The axis is "x" or "y". All ``errors``, which are above zero, are visible; errors of zero are drawn at ``whole``.
    """
    low, high = (min(errors) / 1.3, min(max(errors) * 1.3, 1)) if len(errors) else (0.01, 0.1)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log", f"{which}lim": (high, low)})
    ticks = {1 - accuracy: f"{100 * accuracy:.4g}" for accuracy in TICKS if (whole or low) * 1.5 < 1 - accuracy <= high}
    ticks |= {whole: "100"} if whole else {}
    room = 0.1 * np.log10(high / low) if which == "x" else 0.0  # labels side by side need more of it
    places: list[float] = []
    for place in sorted(ticks):  # from the smallest error on, so that 100 keeps its label
        if not places or np.log10(place / places[-1]) > room:
            places.append(place)
    axis.set_ticks(places, [ticks[place] for place in places])
    axis.set_minor_locator(mpl.ticker.NullLocator())
    axis.grid(**GRID)
    axes.set_axisbelow(True)


def floor(errors: np.ndarray) -> tuple[float, float | None]:
    """Return the smallest position on a logarithmic axis of errors, and the position of errors of zero, if any."""
    above = errors[errors > 0]
    lowest = float(above.min()) if above.size else 1e-2
    return (lowest / 10, lowest / 10) if (errors <= 0).any() else (lowest, None)
