"""Test accuracy of all variants, by itself and against what it costs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study

# The lecture's number for MNIST, slide "Testing Regression MNIST".
LECTURE = {"regression": 0.9183}
COSTS = {
    "accuracy-time": ("train_seconds_mean", "training of one seed, s (start-up and validation not counted)"),
    "accuracy-parameters": ("parameters", "parameters of the net"),
}


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the figure of a kind."""
    folder = results / study.dataset
    variants = pd.read_csv(folder / "tables" / "variants.csv")
    path = folder / "figures" / f"{kind}.svg"
    if kind == "accuracy":
        accuracy(variants, pd.read_csv(folder / "tables" / "runs.csv"), path)
    else:
        against(variants, study.dataset, *COSTS[kind], path)


def accuracy(variants: pd.DataFrame, runs: pd.DataFrame, path: Path) -> None:
    """Draw one row per variant, most accurate first: every seed, the mean and its 95 % interval; a panel a data set.

    Args:
        variants: the table of that name.
        runs: the table of that name.
        path: of the SVG to write.
    """
    shown = variants[variants["n"] > 0].sort_values("test_accuracy_mean", ascending=False, kind="stable")
    groups = [(name, group.head(figures.MOST)) for name, group in shown.groupby("dataset", sort=False)]
    groups.sort(key=lambda pair: -len(pair[1]))
    absent = variants.loc[variants["n"] == 0, "variant"].tolist()
    rows = [len(group) for _, group in groups]
    title = (
        "Test accuracy, %: seeds (dots), their mean and its 95 % interval" if _several(shown) else "Test accuracy, %"
    )
    title += f" (n = {figures.counted(shown['n'])})" if len(shown) else ""
    height = 1.1 + 0.2 * sum(rows) + 0.75 * len(rows) + 0.2 * bool(absent)
    with style.figure(path, height, title) as made:
        if not groups:
            return style.say_nothing_is_there(made)
        panels = made.subplots(len(groups), height_ratios=[count + 1 for count in rows], squeeze=False)[:, 0]
        for axes, (dataset, group) in zip(panels, groups, strict=True):
            lecture = LECTURE if dataset == "mnist" else {}
            _rows(axes, group, runs[(runs["dataset"] == dataset) & (runs["status"] == "ok")], lecture)
            axes.set_title(
                dataset + ("" if len(group) < figures.MOST else f", the best {figures.MOST}"),
                loc="left",
                color=style.GREY,
            )
        if absent:
            made.supxlabel(_shortened(absent), x=0.01, ha="left", fontsize=8, color=style.VERMILION)
    return None


def _rows(axes: Any, group: pd.DataFrame, runs: pd.DataFrame, lecture: dict[str, float]) -> None:
    names = group["variant"].tolist()
    dots = 1 - runs.loc[runs["variant"].isin(names), "test_accuracy"].to_numpy(float)
    means = 1 - group["test_accuracy_mean"].to_numpy(float)
    low, high = (
        1 - group[f"test_accuracy_ci95_{side}"].fillna(group["test_accuracy_mean"]) for side in ("high", "low")
    )
    floor, whole = style.floor(np.concatenate([dots, means]))
    lecture = {name: 1 - value for name, value in lecture.items() if name in names}
    every = np.concatenate([dots, means, high, list(lecture.values())])
    style.error_axis(axes, "x", np.clip(every, floor, 1), whole)
    places = {name: place for place, name in enumerate(names)}
    ys = [places[name] for name in runs["variant"] if name in places]
    axes.plot(np.clip(dots, floor, None), ys, "o", color=style.SKY, markersize=3, alpha=0.6, markeredgewidth=0)
    axes.hlines(
        range(len(names)), np.clip(low, floor, None), np.clip(high, floor, None), color=style.BLUE, linewidth=1.5
    )
    axes.plot(np.clip(means, floor, None), range(len(names)), "|", color=style.BLUE, markersize=9, markeredgewidth=1.5)
    for name, error in lecture.items():
        axes.plot(error, places[name], "D", color=style.VERMILION, markersize=4.5)
        text, place = f"the lecture: {style.percent(1 - error)}", {"xytext": (7, -3), "textcoords": "offset points"}
        axes.annotate(text, (error, places[name]), **place, color=style.VERMILION, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    values = axes.secondary_yaxis("right")
    values.set_yticks(range(len(names)), [f"{100 * mean:.2f}" for mean in group["test_accuracy_mean"]])
    values.tick_params(length=0)
    values.spines["right"].set_visible(False)


def against(variants: pd.DataFrame, dataset: str, column: str, label: str, path: Path) -> None:
    """Draw test accuracy against a cost: one point a variant with its 95 % interval, names beside.

    Args:
        variants: the table of that name.
        dataset: whose variants are drawn.
        column: of the table, the cost.
        label: of its axis, with the unit.
        path: of the SVG to write.
    """
    shown = variants[(variants["dataset"] == dataset) & (variants["n"] > 0) & (variants[column] > 0)]
    shown = shown.sort_values("test_accuracy_mean", kind="stable").tail(figures.MOST)
    costs, errors = shown[column].to_numpy(float), 1 - shown["test_accuracy_mean"].to_numpy(float)
    floor, whole = style.floor(errors)
    errors = np.clip(errors, floor, None)
    half = (shown["test_accuracy_ci95_high"] - shown["test_accuracy_mean"]).fillna(0).to_numpy(float)
    title = f"Test accuracy, %, against {label.partition(',')[0]}: {dataset}"
    title += ", mean and 95 % interval" if _several(shown) else ""
    title += f" (n = {figures.counted(shown['n'])})" if len(shown) else ""
    with style.figure(path, max(3.6, 0.19 * len(shown) + 1), title) as made:
        if shown.empty:
            return style.say_nothing_is_there(made)
        axes = made.subplots()
        axes.set_xscale("log")
        axes.set_xlim(costs.min() / 2, costs.max() * 2)
        lecture = [1 - value for value in LECTURE.values()] if dataset == "mnist" else []
        style.error_axis(axes, "y", [*errors, *lecture], whole)
        axes.errorbar(costs, errors, yerr=[np.minimum(half, errors / 2), half], fmt="o", linewidth=1, color=style.BLUE)
        _names_beside(axes, shown, costs, errors)
        for error in lecture:
            axes.axhline(error, color=style.VERMILION, linewidth=1, linestyle="--")
            place: dict[str, Any] = {
                "xycoords": ("axes fraction", "data"),
                "xytext": (0, 3),
                "textcoords": "offset points",
            }
            text = f"the lecture: {style.percent(1 - error)}"
            axes.annotate(text, (0.98, error), **place, ha="right", color=style.VERMILION, fontsize=8)
        axes.set_xlabel(label)
        axes.set_ylabel("test accuracy, %")
    return None


def _names_beside(axes: Any, shown: pd.DataFrame, costs: np.ndarray, errors: np.ndarray) -> None:
    """Name points in a column beside the axes, in their order: however many there are, none hides another."""
    places = np.linspace(0.01, 0.99, len(shown)) if len(shown) > 1 else [0.5]
    line = {"arrowstyle": "-", "color": "0.8", "linewidth": 0.6, "shrinkB": 3, "relpos": (0, 0.5)}
    for place, row, cost, error in zip(places, shown.to_dict("records"), costs, errors, strict=True):
        text = f"{row['variant']} {100 * row['test_accuracy_mean']:.2f}"
        beside = {"textcoords": "axes fraction", "va": "center", "fontsize": 7.5, "annotation_clip": False}
        axes.annotate(text, (cost, error), (1.05, place), **beside, arrowprops=line)


def _several(variants: pd.DataFrame) -> bool:
    """Return whether some variant has more than one seed, and with it an interval."""
    return bool((variants["n"] > 1).any())


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"without a finished run: {', '.join(names[:5])}{more}"
