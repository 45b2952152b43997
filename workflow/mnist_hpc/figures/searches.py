"""How a sweep searched: its rungs, each hyper-parameter alone and in pairs, and cost against the best loss so far."""

import itertools
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from mnist_hpc.figures import FEW, style
from mnist_hpc.figures.grids import limits
from mnist_hpc.study import spaces
from mnist_hpc.study.grids import label, text
from mnist_hpc.study.specification import Study, Sweep
from mnist_hpc.tables import ranking, searches
from mnist_hpc.tables.text import counted

# Of the first finalists, best first.
COLOURS = (style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.SKY)
FURTHER = "black"
# Of points that were dropped in the first and in the last rung; those between are between.
GREYS = (0.8, 0.4)
WINS = "finalists; wins: share of resampled sweeps in which it has the lowest loss"
TICKS = 8  # values of a list that are all named on its axis
PAIRED = 3  # dimensions that are shown in pairs, those that matter most


@dataclass(frozen=True)
class Search:
    """What a figure of a sweep is drawn from."""

    sweep: Sweep
    rungs: pd.DataFrame  # the rows of ``searches.rungs``; a loss is NaN if a seed failed
    values: Mapping[int, Mapping[str, Any]]  # of each point, as ``grids.text`` has them
    best: Mapping[str, Any]  # the content of best.json
    paths: Mapping[str, tuple[list[tuple[int, float]], float]]  # by sweep of the same variant, see ``found``

    @property
    def finalists(self) -> dict[int, Mapping[str, Any]]:
        """The finalists by point, best first; empty without halving."""
        return {row["point"]: row for row in self.best.get("finalists", [])}

    @property
    def dimensions(self) -> dict[str, spaces.Dimension]:
        """What the sweep varies, by key."""
        different = {key: {point[key] for point in self.values.values()} for key in self.sweep.dimensions}
        return {key: tried for key, tried in self.sweep.dimensions.items() if len(different[key]) > 1}

    @property
    def reached(self) -> pd.DataFrame:
        """The row of the highest rung of each point, with a column for each dimension."""
        rows = self.rungs.drop_duplicates("point", keep="last").set_index("point")
        return rows.join(pd.DataFrame.from_dict(dict(self.values), orient="index"))

    @property
    def top(self) -> float:
        """The highest loss that is drawn as such: beside a few that are far above it, all others would look alike."""
        losses = self.rungs.loc[self.rungs["rung"] == 1, "loss"].dropna()
        return float(max(1.2 * losses.quantile(0.8), 2 * losses.min()))

    @property
    def last(self) -> int:
        """The last rung, after which the finalists are trained from fresh seeds."""
        return self.best["rung"] - bool(self.finalists)

    def colour(self, point: int, rung: int) -> str:
        """Return the colour of a point: its own for a finalist, or a grey by the rung in which it was dropped."""
        if not self.finalists:
            return style.BLUE
        if point in self.finalists:
            return dict(zip(self.finalists, COLOURS, strict=False)).get(point, FURTHER)
        return str(np.interp(rung, (1, max(self.last, 2)), GREYS))


def found(study: Study, results: Path, name: str) -> Search:
    """Return what the figure of a sweep shows; beside it, of all sweeps of its variant, the best losses so far.

    ``paths`` has what ``searches.best_so_far`` returns, and the loss of the point that was chosen.
    """
    sweep, paths = study.sweeps[name], {}
    for other in study.sweeps.values():
        if other.variant.name == sweep.variant.name:
            rows = ranking.read(results / other.folder / "points.csv")
            rungs = searches.rungs(rows, other, study.facts(other.variant.dataset)[2])
            best = ranking.read_best(results / other.folder / "best.json")
            paths[other.name] = searches.best_so_far(rungs), best["validation_loss_mean"]
            if other is sweep:
                table, values, chosen = pd.DataFrame(rungs), ranking.values(rows, sweep.dimensions), best
    return Search(sweep, table.astype({"loss": float}), values, chosen, paths)


def search(made_from: Search, path: Path) -> None:
    """Draw a sweep: rungs, cost, each dimension, and the dimensions that matter most in pairs."""
    dimensions, names = made_from.dimensions, _legend(made_from)
    pairs = list(itertools.combinations(_important(made_from), 2))
    words = max((len(label(value)) for tried in dimensions.values() for value in spaces.bounds(tried)), default=0)
    lines = sum(1 + name.count("\n") for name in names)
    heights = [2.4, *([0.3 + 0.17 * lines] if names else []), 2.2 + 0.17 * -(-len(made_from.paths) // 2)]
    heights += [(1.7 + 0.04 * words) * -(-len(dimensions) // 2)] if dimensions else []
    heights += [2.4 * -(-len(pairs) // 2)] if pairs else []
    title = _title(made_from)
    with style.figure(path, 0.3 + 0.17 * (1 + title.count("\n")) + sum(heights), title) as made:
        rows = made.add_gridspec(len(heights), 1, height_ratios=heights)
        parts = (made.add_subfigure(rows[place]) for place in range(len(heights)))
        _rungs(next(parts), made_from)
        if names:
            handles = [mpl.lines.Line2D([], [], color=colour, marker="o", label=name) for name, colour in names.items()]
            where: dict[str, Any] = {"loc": "upper left", "alignment": "left"}
            next(parts).legend(handles=handles, title=WINS, title_fontsize=8, handlelength=1, **where)
        _cost(next(parts), made_from)
        if dimensions:
            _slices(next(parts), made_from)
        if pairs:
            _pairs(next(parts), made_from, pairs)


def _title(made_from: Search) -> str:
    sweep, rungs = made_from.sweep, made_from.rungs
    count = counted(rungs["point"].nunique(), "point")
    seeds = f"n = {sweep.seeds}" + (f", finalists n = {sweep.halving['fresh_seeds']}" if sweep.halving else "")
    title = f"{sweep.name}: {sweep.variant.name} on {sweep.variant.dataset}, {count}, {seeds}\n"
    title += "circle: the chosen point" + ("; grey: dropped, darker if later" if made_from.finalists else "")
    title += "; ▲: higher" if (rungs["loss"] > made_from.top).any() else ""
    title += "; ×: failed" if rungs["loss"].isna().any() else ""
    return title + "".join(f"\nbest at the edge of what was tried: {key}" for key in made_from.best["at_the_edge"])


def _legend(made_from: Search) -> dict[str, str]:
    """Return the colours of the finalists by what they are called."""
    shown = {}
    for row, colour in zip(made_from.finalists.values(), COLOURS, strict=False):
        values = ", ".join(f"{key} {label(value)}" for key, value in row["values"].items())
        shown[textwrap.fill(f"wins {row['wins']:.0%}: {values}".replace("%", " %"), 80)] = colour
    further = len(made_from.finalists) - len(COLOURS)
    return shown | ({f"{further} further": FURTHER} if further > 0 else {})


def _rungs(made: mpl.figure.SubFigure, made_from: Search) -> None:
    """Draw a line per point from rung to rung; the means of finalists over their fresh seeds stand at the right."""
    axes, rungs = made.subplots(), made_from.rungs
    fresh = float(rungs["seen"].max()) * max(1.3, (rungs["seen"].max() / rungs["seen"].min()) ** 0.12)
    last = made_from.last
    for point, rows in rungs.groupby("point"):
        seen = rows["seen"].where(rows["rung"] <= last, fresh)
        finalist = point in made_from.finalists
        colour = made_from.colour(point, rows["rung"].max())
        options: dict[str, Any] = {"color": colour, "zorder": 3 if finalist else 2}
        losses = rows["loss"].clip(upper=made_from.top)
        axes.plot(seen, losses, "o-", markersize=3, linewidth=1.5 if finalist else 0.7, **options)
        above = rows["loss"] > made_from.top
        axes.plot(seen[above], losses[above], "^", **options)
    failed = rungs[rungs["loss"].isna()]
    top: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False, "in_layout": False}
    axes.plot(failed["seen"], np.ones(len(failed)), "x", color=style.GREY, **top)
    chosen = rungs[rungs["point"] == made_from.best["point"]].iloc[-1]
    place = fresh if chosen["rung"] > last else chosen["seen"]
    _ring(axes, place, chosen["loss"])
    _losses(axes, rungs["loss"].clip(upper=made_from.top))
    _images(axes, [fresh] if made_from.finalists else [], rungs[rungs["rung"] <= last])
    axes.set(xlabel="images that one training has seen", ylabel=_loss(made_from))


def _images(axes: mpl.axes.Axes, fresh: list[float], rungs: pd.DataFrame) -> None:
    """Give the x axis of rungs its scale: ticks where rungs end, if these do not mix, and where fresh seeds stand."""
    _numbers(axes.xaxis, "log", rungs["seen"], mpl.ticker.EngFormatter(sep=""))
    ends = rungs.groupby("rung")["seen"].agg(["min", "median", "max"])
    apart = (ends["min"].to_numpy()[1:] > 1.1 * ends["max"].to_numpy()[:-1]).all()
    if apart and (ends["max"] < 1.2 * ends["min"]).all():
        ticks, names = ends["median"].tolist(), [f"{value:,.0f}" for value in ends["median"]]
        axes.set_xticks(ticks + fresh, names + ["fresh\nseeds"] * len(fresh))
    elif fresh:
        axes.axvline(fresh[0], color="0.85", zorder=1)
        axes.annotate("fresh seeds", (fresh[0], 1), xycoords=axes.get_xaxis_transform(), ha="right", va="bottom")


def _cost(made: mpl.figure.SubFigure, made_from: Search) -> None:
    """Draw the lowest loss so far against the images of all trainings, of all sweeps of the variant."""
    axes, own, drawn = made.subplots(), made_from.sweep.name, []
    others = [name for name in made_from.paths if name != own]
    for place, name in reversed([*enumerate([own, *others])]):
        pairs, chosen = made_from.paths[name]
        colour = (style.BLUE, style.GREEN, style.ORANGE, style.PURPLE, style.SKY, style.GREY)[min(place, FEW - 1)]
        images, losses = zip(*pairs, strict=True)
        drawn += [*pairs, (images[-1], chosen)]
        axes.step(images, losses, where="post", color=colour, linewidth=1.5 if name == own else 1, label=name)
        axes.plot(images[-1], chosen, "o", color=colour)
        if name == own:
            _ring(axes, images[-1], chosen)
    all_images, all_losses = map(pd.Series, zip(*drawn, strict=True))
    _numbers(axes.xaxis, "log", all_images, mpl.ticker.EngFormatter(sep=""))
    _losses(axes, all_losses)
    axes.set(xlabel="images of all trainings together; dot: the chosen point", ylabel="lowest loss so far")
    handles, labels = axes.get_legend_handles_labels()
    made.legend(handles[::-1], labels[::-1], loc="outside upper left", ncols=2)


def _slices(made: mpl.figure.SubFigure, made_from: Search) -> None:
    """Draw the loss of each point in its highest rung against each of its values."""
    table, dimensions = made_from.reached.dropna(subset="loss"), made_from.dimensions
    table = table.sort_values("rung")  # finalists on top
    colours = np.array([made_from.colour(point, row["rung"]) for point, row in table.iterrows()])
    losses, above = table["loss"].clip(upper=made_from.top).to_numpy(), (table["loss"] > made_from.top).to_numpy()
    panels = style.panels(made, len(dimensions), min(len(dimensions), 2), sharey=True)
    for place, (axes, (key, tried)) in enumerate(zip(panels, dimensions.items(), strict=True)):
        places = _places(axes.xaxis, key, tried, table)
        for marker, shown in (("o", ~above), ("^", above)):
            axes.scatter(places[shown], losses[shown], c=colours[shown], s=12, marker=marker, zorder=3)
        chosen = table.index.get_loc(made_from.best["point"])
        _ring(axes, places[chosen], losses[chosen])
        _losses(axes, pd.Series(losses))
        axes.set_ylabel("" if place % 2 else _last_loss(made_from))


def _pairs(made: mpl.figure.SubFigure, made_from: Search, pairs: list[tuple[str, str]]) -> None:
    """Draw the loss of each point in its highest rung as a colour over two of its values."""
    table = made_from.reached.sort_values("loss", ascending=False)  # failed ones last
    good = table["loss"].notna().to_numpy()
    norm = mpl.colors.LogNorm(*limits(table["loss"])) if (table["loss"].dropna() > 0).all() else None
    for axes, pair in zip(style.panels(made, len(pairs), min(len(pairs), 2)), pairs, strict=True):
        # Names, which are long, stand at the left.
        across, down = sorted(pair, key=lambda key: searches.scale(made_from.dimensions[key]) == "list")
        x = _places(axes.xaxis, across, made_from.dimensions[across], table)
        y = _places(axes.yaxis, down, made_from.dimensions[down], table)
        sizes = 8 + 8 * table["rung"][good]
        dots = axes.scatter(x[good], y[good], sizes, table["loss"][good], norm=norm, cmap="viridis_r", zorder=3)
        axes.plot(x[~good], y[~good], "x", color=style.GREY)
        chosen = table.index.get_loc(made_from.best["point"])
        _ring(axes, x[chosen], y[chosen])
    bar = made.colorbar(dots, ax=made.axes, shrink=0.9, aspect=25, extend="max")
    bar.set_label(_last_loss(made_from))
    bar.ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(5))
    bar.ax.yaxis.set_major_formatter("{x:.3g}")
    bar.ax.yaxis.set_minor_locator(mpl.ticker.NullLocator())


def _places(axis: Any, key: str, dimension: spaces.Dimension, table: pd.DataFrame) -> np.ndarray:
    """Return where the values of the points stand on an axis, which gets its scale and its name."""
    scale = searches.scale(dimension)
    axis.axes.set(**{f"{axis.axis_name}label": key})
    if scale != "list":
        _numbers(axis, scale, table[key])
        if not isinstance(dimension, Mapping) and len(dimension) <= TICKS:
            axis.set_ticks(list(dimension), [label(value) for value in dimension])
        return table[key].to_numpy(float)
    tried = [text(value) for value in spaces.bounds(dimension)]
    slanted = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if axis.axis_name == "x" else {}
    axis.set_ticks(range(len(tried)), [label(value) for value in spaces.bounds(dimension)], **slanted)
    axis.axes.set(**{f"{axis.axis_name}lim": (-0.5, len(tried) - 0.5)})
    return np.array([tried.index(value) for value in table[key]])


def _important(made_from: Search) -> list[str]:
    """Return the dimensions that matter most, in the order of the config.

    They explain most of the variance of the ranks: the share that lies between quarters of the points by their value,
    or between the values of a list.
    """
    table, shares = made_from.reached, {}
    order = table.sort_values(["rung", "loss"], ascending=[False, True]).index
    ranks = pd.Series(range(len(order)), order)
    for key, tried in made_from.dimensions.items():
        listed = searches.scale(tried) == "list" or spaces.size(tried) <= 4
        groups = table[key] if listed else pd.qcut(table[key], 4, labels=False, duplicates="drop")
        shares[key] = ranks.groupby(groups).transform("mean").var(ddof=0)
    most = sorted(shares, key=lambda key: -shares[key])[:PAIRED]
    return [key for key in shares if key in most]


def _losses(axes: mpl.axes.Axes, losses: pd.Series) -> None:
    _numbers(axes.yaxis, "log" if (losses.dropna() > 0).all() else "linear", losses)


def _numbers(axis: Any, scale: str, values: pd.Series, formatter: Any = "{x:g}") -> None:
    """Give an axis of some numbers its scale and few ticks."""
    axis.axes.set(**{f"{axis.axis_name}scale": scale})
    if scale == "log":
        decades = np.log10(values.max() / values.min())
        # Where there is no power of ten between the numbers, ticks may be anywhere.
        ticks = mpl.ticker.LogLocator(subs=(1, 2, 5) if decades < 1.5 else (1,))
        axis.set_major_locator(ticks if decades > 0.4 else mpl.ticker.MaxNLocator(4))
        axis.set_minor_locator(mpl.ticker.NullLocator())
    else:
        axis.set_major_locator(mpl.ticker.MaxNLocator(5))
    axis.set_major_formatter(formatter)
    axis.grid(**style.GRID)
    axis.axes.set_axisbelow(True)


def _ring(axes: mpl.axes.Axes, x: float, y: float) -> None:
    """Mark the chosen point."""
    axes.plot(x, y, "o", markersize=9, fillstyle="none", color=style.VERMILION, zorder=4)


def _last_loss(made_from: Search) -> str:
    return "loss in the highest rung" if made_from.finalists else "validation loss"


def _loss(made_from: Search) -> str:
    (loss,) = made_from.sweep.variant.keys["loss"]
    return f"validation: {style.LOSSES[loss]}"
