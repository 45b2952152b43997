"""Reliability diagrams: how often nets are right when they are so sure."""

from pathlib import Path
from typing import Any

import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.reading import read_table

# Confidences with a tick, few enough for panels of half the width.
TICKS = (0.5, 0.9, 0.99, 0.999, 0.9999)


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the figure."""
    tables = results / study.dataset / "tables"
    bins, variants = read_table(tables / "reliability.csv"), read_table(tables / "variants.csv")
    names = figures.leading(bins, variants, study.dataset)
    diagrams(bins, names, study.dataset, results / figures.files(study, kind)[""])


def diagrams(bins: pd.DataFrame, names: list[str], dataset: str, path: Path) -> None:
    """Draw one panel per variant from reliability.csv: accuracy against confidence in each bin of each seed.

    Both axes are logarithmic scales of what is missing to 1. The band holds 95 % of the bins of a calibrated net.
    """
    shown = bins[bins["variant"].isin(names)]
    count = figures.counted(shown.groupby("variant")["seed"].nunique()) if len(shown) else "0"
    title = f"Reliability on test images: {dataset} (n = {count})\ngrey: where 95 % of a calibrated net's bins would be"
    with style.figure(path, 0.9 + 2.1 * -(-max(len(names), 1) // 2), title) as made:
        if shown.empty:
            style.note(made)
            return
        # Half an image more than none of a bin: below that, no accuracy can be told from 1.
        floor = 0.5 / shown["images"].max()
        for axes, name in zip(style.panels(made, len(names), 2, sharex=True, sharey=True), names, strict=True):
            _draw_diagram(axes, shown[shown["variant"] == name], floor)
            axes.set_title(name, loc="left", color=style.GREY)
        made.supxlabel("mean confidence of a bin, %", fontsize=9)
        made.supylabel("accuracy of a bin, %", fontsize=9)


def _draw_diagram(axes: Any, bins: pd.DataFrame, floor: float) -> None:
    """Draw the bins of one variant; what is missing to 1 is drawn at ``floor`` if it is below."""
    missing = 1 - bins.set_index("seed")[["confidence", "accuracy", "calibrated_q025", "calibrated_q975"]]
    missing = missing.clip(floor, 1)
    for which in ("x", "y"):
        style.error_axis(axes, which, [floor, 1.0], floor)
    places = [*(1 - tick for tick in TICKS if 1 - tick > 2 * floor), floor]
    axes.set_xticks(places, [*(f"{100 * tick:.4g}" for tick, _ in zip(TICKS, places[1:], strict=False)), "100"])
    axes.plot([floor, 1], [floor, 1], color=style.GREY, linewidth=0.8)
    for _, seed in missing.groupby(level="seed"):
        band = (seed[name] for name in ("confidence", "calibrated_q975", "calibrated_q025"))
        axes.fill_between(*band, color="0.8", alpha=0.5, linewidth=0)
    axes.plot(missing["confidence"], missing["accuracy"], "o", color=style.BLUE, markersize=3, alpha=0.6, mew=0)
