"""Sweeps over a grid: validation loss as heat maps, and the effect of each hyper-parameter alone."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from mnist_hpc.figures import style
from mnist_hpc.study.grids import label
from mnist_hpc.study.specification import Sweep


def losses(points: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """Return for each point the places of its values in the grid, and its mean loss, empty if a seed failed."""
    grouped = points.groupby("point")
    loss = grouped["validation_loss"].mean().where(grouped["status"].agg(lambda status: (status == "ok").all()))
    places = np.unravel_index(loss.index.to_numpy(), [len(values) for values in sweep.values.values()])
    return pd.DataFrame({**dict(zip(sweep.values, places, strict=True)), "loss": loss.to_numpy()})


def heat_maps(table: pd.DataFrame, best: dict[str, Any], sweep: Sweep, path: Path) -> None:
    """Draw the losses of a grid, with two keys per map, and one map per value of a third key.

    Each cell is the lowest loss over all further keys. ``best`` is the content of best.json.
    """
    varied = sorted(
        (key for key in sweep.values if len(sweep.values[key]) > 1), key=lambda key: -len(sweep.values[key])
    )
    chosen = {key: tried.index(best["values"][key]) for key, tried in sweep.values.items()}
    edge = "".join(f"\nlowest loss at the edge of the grid: {text}" for text in best["at_the_edge"])
    title = f"{sweep.name}: {sweep.variant.name} on {sweep.variant.dataset}, {len(table)} points, n = {sweep.seeds}\n"
    title += f"circle: lowest validation loss; grey: not trained, or failed{edge}"
    labels = 0.06 * max(len(label(value)) for values in sweep.values.values() for value in values)
    count = len(sweep.values[varied[2]]) if len(varied) > 2 else 1
    down = len(sweep.values[varied[1]]) if len(varied) > 1 else 1
    # The labels of values are vertical.
    heights = [(0.5 + 0.22 * down + labels) * -(-count // 2), (1.5 + labels) * -(-len(varied) // 2)]
    with style.figure(path, 0.75 + 0.16 * len(best["at_the_edge"]) + sum(heights), title) as made:
        if not varied:
            style.note(made, "the grid has a single point")
            return
        parts = made.add_gridspec(2, 1, height_ratios=heights)
        upper, lower = made.add_subfigure(parts[0]), made.add_subfigure(parts[1])
        _maps(upper, table, varied[:3], sweep, chosen)
        _curves(lower, table, varied, sweep, chosen)


def _maps(
    made: mpl.figure.SubFigure, table: pd.DataFrame, keys: list[str], sweep: Sweep, chosen: dict[str, int]
) -> None:
    """Draw a map of the first two keys for each value of the third one, all with one scale of colours."""
    across, third = keys[0], keys[2] if len(keys) > 2 else None
    count = len(sweep.values[third]) if third else 1
    columns = min(count, 2)
    panels = style.panels(made, count, columns, sharex=True, sharey=True)
    norm = mpl.colors.Normalize(*limits(table["loss"]))
    for value, axes in enumerate(panels):
        part, mark = table, True
        if third:
            part, mark = table[table[third] == value], chosen[third] == value
            axes.set_title(f"{third} {label(sweep.values[third][value])}")
        image = _map(axes, part, keys[:2], sweep, norm)
        if mark:
            place = chosen[across], chosen[keys[1]] if len(keys) > 1 else 0
            axes.plot(*place, "o", markersize=11, fillstyle="none", color=style.VERMILION)
    for axes in panels[max(count - columns, 0) :]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(across)
    bar = made.colorbar(image, ax=made.axes, shrink=0.9, aspect=25, extend="max")
    (loss,) = sweep.variant.keys["loss"]
    bar.set_label(f"validation: {style.LOSSES[loss]}")
    bar.ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
    bar.ax.yaxis.set_major_formatter("{x:.3g}")
    bar.ax.yaxis.set_minor_locator(mpl.ticker.NullLocator())


def limits(loss: pd.Series) -> tuple[float, float]:
    """Return the range of colours; the worse half of the losses may share one colour."""
    good = loss[loss > 0].dropna()
    return (0.1, 1.0) if good.empty else (good.min(), max(good.median(), good.min() * 1.05))


def _map(
    axes: Any, table: pd.DataFrame, keys: list[str], sweep: Sweep, norm: mpl.colors.Normalize
) -> mpl.image.AxesImage:
    """Draw the lowest loss for each pair of values of two keys, or for each value of one key."""
    values = np.full([len(sweep.values[key]) for key in reversed(keys)], np.nan)
    lowest = table.groupby(keys[::-1])["loss"].min()
    for place, loss in lowest.items():
        values[place] = loss
    values = np.atleast_2d(values)
    axes.set_facecolor("0.9")  # not trained, or failed
    image = axes.imshow(values, norm=norm, cmap="viridis_r", aspect="auto", interpolation="none")
    axes.set_xticks(range(values.shape[1]), map(label, sweep.values[keys[0]]), rotation=90)
    axes.set_yticks(range(values.shape[0]), map(label, sweep.values[keys[1]]) if len(keys) > 1 else [""])
    if len(keys) > 1 and axes.get_subplotspec().is_first_col():
        axes.set_ylabel(keys[1])
    return image


def _curves(
    made: mpl.figure.SubFigure, table: pd.DataFrame, varied: list[str], sweep: Sweep, chosen: dict[str, int]
) -> None:
    """Draw for each key the lowest loss that each of its values allows."""
    for place, (axes, key) in enumerate(zip(style.panels(made, len(varied), 2, sharey=True), varied, strict=True)):
        lowest = table.groupby(key)["loss"].min().reindex(range(len(sweep.values[key])))
        axes.plot(lowest.index, lowest, "o-", color=style.BLUE)
        axes.plot(chosen[key], lowest[chosen[key]], "o", markersize=9, fillstyle="none", color=style.VERMILION)
        axes.set_xticks(range(len(sweep.values[key])), map(label, sweep.values[key]), rotation=90)
        axes.set(xlabel=key, ylabel="" if place % 2 else "lowest loss")
        axes.grid(**style.GRID)
