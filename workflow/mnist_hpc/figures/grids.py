"""Sweeps: validation loss over the grid as heat maps, and what each hyper-parameter does by itself."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study import grids
from mnist_hpc.study.specification import Study, Sweep
from mnist_hpc.tables import collect, ranking

COLUMNS = ["point", "status", "validation_loss"]


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw all sweeps."""
    for name, file in figures.files(study, kind).items():
        sweep = study.sweeps[name]
        folder = results / sweep.folder
        best = ranking.read_best(folder / "best.json")
        points = collect.frame(ranking.read(folder / "points.csv"), COLUMNS, ["validation_loss"]).astype({"point": int})
        heat_maps(losses(points, sweep), best, sweep, results / file)


def losses(points: pd.DataFrame, sweep: Sweep) -> pd.DataFrame:
    """Return one row per point: the place of its value in each key of the grid, and its mean validation loss.

    ``loss`` is empty for a point of which a seed failed.
    """
    shape = [len(values) for values in sweep.grid.values()]
    grouped = points.groupby("point")
    loss = grouped["validation_loss"].mean().where(grouped["status"].agg(lambda status: (status == "ok").all()))
    places = np.unravel_index(loss.index.to_numpy(), shape)
    return pd.DataFrame({**dict(zip(sweep.grid, places, strict=True)), "loss": loss.to_numpy()})


def heat_maps(table: pd.DataFrame, best: dict[str, Any], sweep: Sweep, path: Path) -> None:
    """Draw the grid: two keys a map, one map a value of the third, the lowest loss over all further ones.

    Args:
        table: as ``losses`` returns it.
        best: content of best.json.
        sweep: whose grid it is.
        path: of the SVG to write.
    """
    varied = sorted((key for key in sweep.grid if len(sweep.grid[key]) > 1), key=lambda key: -len(sweep.grid[key]))
    across, down, third = varied[0] if varied else "", *[*varied[1:3], None, None][:2]
    chosen = {key: sweep.grid[key].index(value) for key, value in best["values"].items()}
    maps: list[int] = list(range(len(sweep.grid[third]))) if third else [0]
    columns = 1 if len(maps) == 1 else 2
    rows = -(-len(maps) // columns)
    down_count = len(sweep.grid[down]) if down else 1
    norm = mpl.colors.Normalize(*_limits(table["loss"]))
    edge = f"\nchosen value at the edge of the grid: {', '.join(best['at_the_edge'])}" if best["at_the_edge"] else ""
    count = f"{len(table)} points, n = {sweep.seeds}"
    title = f"{sweep.name}: {sweep.variant.name} on {sweep.variant.dataset}, {count}\n"
    title += f"circle: lowest validation loss; grey: not tried, or failed{edge}"
    longest = max(len(_name(value)) for values in sweep.grid.values() for value in values)
    map_height = 0.5 + 0.22 * down_count + 0.06 * longest  # its labels are turned upright
    curves_height = (1.5 + 0.06 * longest) * -(-len(varied) // 2)
    with style.figure(path, 0.75 + map_height * rows + curves_height, title) as made:
        if not varied:
            return style.say_nothing_is_there(made, "a grid of one point")
        parts = made.add_gridspec(2, 1, height_ratios=[map_height * rows, curves_height])
        upper, lower = made.add_subfigure(parts[0]), made.add_subfigure(parts[1])
        panels = upper.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for axes, value in zip(panels, maps, strict=False):
            part = table[table[third] == value] if third else table
            mark = chosen if not third or chosen[third] == value else None
            image = _map(axes, part, (across, down), sweep, norm, mark)
            if third:
                axes.set_title(f"{third} {_name(sweep.grid[third][value])}")
        for axes in panels[len(maps) :]:
            axes.set_axis_off()
        for axes in panels[max(len(maps) - columns, 0) : len(maps)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(across)
        bar = upper.colorbar(image, ax=list(panels), shrink=0.9, aspect=25, extend="max")
        (loss,) = sweep.variant.keys["loss"]
        bar.set_label(f"validation: {style.LOSSES[loss]}")
        bar.ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
        bar.ax.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))
        bar.ax.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        _curves(lower, table, varied, sweep, chosen)
    return None


def _limits(loss: pd.Series) -> tuple[float, float]:
    """Return the range of colours: the worse half of the losses may all look the same."""
    good = loss[loss > 0].dropna()
    if good.empty:
        return 0.1, 1.0
    return good.min(), max(good.median(), good.min() * 1.05)


def _map(
    axes: Any,
    part: pd.DataFrame,
    keys: tuple[str, str | None],
    sweep: Sweep,
    norm: mpl.colors.Normalize,
    mark: dict[str, int] | None,
) -> mpl.image.AxesImage:
    across, down = keys
    values = np.full((len(sweep.grid[down]) if down else 1, len(sweep.grid[across])), np.nan)
    lowest = part.groupby([down, across] if down else [across])["loss"].min()
    for place, loss in lowest.items():
        values[place if down else (0, place[0] if isinstance(place, tuple) else place)] = loss
    axes.set_facecolor("0.9")  # not tried, or failed
    image = axes.imshow(values, norm=norm, cmap="viridis_r", aspect="auto", interpolation="none")
    axes.set_xticks(range(values.shape[1]), map(_name, sweep.grid[across]), rotation=90)
    axes.set_yticks(range(values.shape[0]), map(_name, sweep.grid[down]) if down else [""])
    if down and axes.get_subplotspec().is_first_col():
        axes.set_ylabel(down)
    if mark:
        axes.plot(mark[across], mark[down] if down else 0, "o", markersize=11, fillstyle="none", color=style.VERMILION)
    return image


def _curves(
    made: mpl.figure.SubFigure, table: pd.DataFrame, varied: list[str], sweep: Sweep, chosen: dict[str, int]
) -> None:
    """Draw for each key the lowest loss that each of its values allows."""
    panels = made.subplots(-(-len(varied) // 2), 2, squeeze=False, sharey=True).ravel()
    for axes, key in zip(panels, varied, strict=False):
        lowest = table.groupby(key)["loss"].min().reindex(range(len(sweep.grid[key])))
        axes.plot(lowest.index, lowest, "o-", color=style.BLUE)
        axes.plot(chosen[key], lowest[chosen[key]], "o", markersize=9, fillstyle="none", color=style.VERMILION)
        axes.set_xticks(range(len(sweep.grid[key])), map(_name, sweep.grid[key]), rotation=90)
        axes.set_xlabel(key)
        axes.set_ylabel("lowest loss" if axes.get_subplotspec().is_first_col() else "")
        axes.grid(color="0.92", linewidth=0.6)
    for axes in panels[len(varied) :]:
        axes.set_axis_off()


def _name(value: Any) -> str:
    """Return a value of a grid as short as it can be: an optimiser without the braces of JSON."""
    if not isinstance(value, dict):
        return str(grids.text(value))
    ((name, arguments),) = value.items()
    return " ".join([name, *(f"{key} {item}" for key, item in arguments.items())])
