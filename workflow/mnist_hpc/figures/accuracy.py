"""Test accuracy of all variants, alone and against what it costs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.reading import read_table

# The lecture's test accuracy on MNIST, slide "Testing Regression MNIST".
LECTURE = {"regression": 0.9183}
COSTS = {
    "accuracy-time": ("train_seconds_mean", "training of one seed, s (without start-up and validation)"),
    "accuracy-parameters": ("parameters", "parameters of the net"),
}


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the figure of a kind."""
    tables = results / study.dataset / "tables"
    variants = read_table(tables / "variants.csv")
    path = results / figures.files(study, kind)[""]
    if kind == "accuracy":
        accuracy(variants, read_table(tables / "runs.csv"), path)
    else:
        against(variants, study.dataset, *COSTS[kind], path)


def accuracy(variants: pd.DataFrame, runs: pd.DataFrame, path: Path) -> None:
    """Draw one panel per data set with one row per variant, best first: each seed, the mean, its 95 % interval."""
    shown = variants[variants["n"] > 0].sort_values("test_accuracy_mean", ascending=False, kind="stable")
    groups = [(name, _leading(group)) for name, group in shown.groupby("dataset", sort=False)]
    groups.sort(key=lambda pair: -len(pair[1]))
    absent = variants.loc[variants["n"] == 0, "variant"].tolist()
    rows = [len(group) for _, group in groups]
    title = _titled("Test accuracy, %", ": seeds, their mean and its 95 % interval", shown)
    with style.figure(path, 1.1 + 0.2 * sum(rows) + 0.75 * len(rows) + 0.2 * bool(absent), title) as made:
        if not groups:
            style.note(made)
            return
        panels = style.panels(made, len(groups), 1, height_ratios=[count + 1 for count in rows])
        for axes, (dataset, group) in zip(panels, groups, strict=True):
            good = runs["variant"].isin(group["variant"]) & (runs["status"] == "ok")
            _draw_rows(axes, group, runs[good], LECTURE if dataset == "mnist" else {})
            cut = f", the {figures.MOST} with the highest validation accuracy" if len(group) == figures.MOST else ""
            counted = "; right: seeds that succeed (95 % interval)" if group["success"].any() else ""
            axes.set_title(f"{dataset}{cut}{counted}", loc="left", color=style.GREY)
        if absent:
            more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
            text = f"without a finished run: {', '.join(absent[:5])}{more}"
            made.supxlabel(text, x=0.01, ha="left", fontsize=8, color=style.VERMILION)


def _leading(variants: pd.DataFrame) -> pd.DataFrame:
    """Return the variants with the highest validation accuracy, as many as a figure shows, in their order."""
    chosen = variants.nlargest(figures.MOST, "validation_accuracy_mean").index
    return variants[variants.index.isin(chosen)]


def _draw_rows(axes: Any, group: pd.DataFrame, runs: pd.DataFrame, lecture: dict[str, float]) -> None:
    """Draw the rows of one panel on an axis of errors; ``lecture`` holds the lecture's accuracies by variant."""
    names = group["variant"].tolist()
    places = {name: place for place, name in enumerate(names)}
    dots, means = 1 - runs["test_accuracy"].to_numpy(float), 1 - group["test_accuracy_mean"].to_numpy(float)
    low, high = errors_of_interval(group)
    marks = {places[name]: 1 - value for name, value in lecture.items() if name in places}
    floor, whole = style.floor(np.concatenate([dots, means, low]))
    every = np.concatenate([dots, means, low, high, list(marks.values())])
    style.error_axis(axes, "x", np.clip(every, floor, 1), whole)
    dots, means, low, high = (np.clip(errors, floor, None) for errors in (dots, means, low, high))
    axes.plot(dots, runs["variant"].map(places), "o", color=style.SKY, markersize=3, alpha=0.6, markeredgewidth=0)
    axes.hlines(range(len(names)), low, high, color=style.BLUE, linewidth=1.5)
    axes.plot(means, range(len(names)), "|", color=style.BLUE, markersize=9, markeredgewidth=1.5)
    for place, error in marks.items():
        axes.plot(error, place, "D", color=style.VERMILION, markersize=4.5)
        _annotate_lecture(axes, error, (error, place), xytext=(7, -3))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.4, -0.6))
    values = style.right_labels(axes, [_result(row) for row in group.to_dict("records")])
    values.spines["right"].set_visible(False)


def errors_of_interval(variants: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest errors in the intervals of variants; the error itself where there is none."""
    low, high = (
        1 - variants[f"test_accuracy_ci95_{side}"].fillna(variants["test_accuracy_mean"]).to_numpy(float)
        for side in ("high", "low")
    )
    return low, high


def _result(row: dict[str, Any]) -> str:
    """Return the mean test accuracy of a variant in percent, or how many of its seeds succeed."""
    if pd.isna(row["successes"]):
        return f"{100 * row['test_accuracy_mean']:.2f}"
    low, high = (100 * row[f"success_ci95_{side}"] for side in ("low", "high"))
    return f"{row['successes']:.0f} of {row['trials']:.0f} ({low:.0f} to {high:.0f} %)"


def against(variants: pd.DataFrame, dataset: str, column: str, label: str, path: Path) -> None:
    """Draw the test accuracy of each variant of a data set, with its 95 % interval, against a cost.

    ``column`` of the table variants.csv holds the cost, and ``label`` names it, with its unit.
    """
    shown = variants[(variants["dataset"] == dataset) & (variants["n"] > 0) & (variants[column] > 0)]
    shown = _leading(shown).sort_values("test_accuracy_mean", kind="stable")
    text = f"Test accuracy, %, against {label.partition(',')[0]}: {dataset}"
    title = _titled(text, ", mean and 95 % interval", shown)
    with style.figure(path, max(3.6, 0.19 * len(shown) + 1), title) as made:
        if shown.empty:
            style.note(made)
            return
        axes = made.subplots()
        axes.set(xlabel=label, ylabel="test accuracy, %")
        draw_points(axes, shown, column, [1 - value for value in LECTURE.values()] if dataset == "mnist" else [])


def draw_points(axes: Any, shown: pd.DataFrame, column: str, lecture: list[float]) -> None:
    """Draw the errors of variants with their intervals against the cost in a column, and the lecture's errors."""
    costs, errors = shown[column].to_numpy(float), 1 - shown["test_accuracy_mean"].to_numpy(float)
    low, high = errors_of_interval(shown)
    floor, whole = style.floor(np.concatenate([errors, low]))
    errors, low, high = (np.clip(values, floor, None) for values in (errors, low, high))
    axes.set(xscale="log", xlim=(costs.min() / 2, costs.max() * 2))
    style.error_axis(axes, "y", [*errors, *low, *high, *lecture], whole)
    axes.errorbar(costs, errors, yerr=[errors - low, high - errors], fmt="o", linewidth=1, color=style.BLUE)
    _names_beside(axes, shown, costs, errors)
    for error in lecture:
        axes.axhline(error, color=style.VERMILION, linewidth=1, linestyle="--")
        place = {"xycoords": ("axes fraction", "data"), "xytext": (0, 3), "ha": "right"}
        _annotate_lecture(axes, error, (0.98, error), **place)


def _annotate_lecture(axes: Any, error: float, place: tuple[float, float], **options: Any) -> None:
    text = f"the lecture: {style.percent(1 - error)}"
    axes.annotate(text, place, textcoords="offset points", color=style.VERMILION, fontsize=8, **options)


def _names_beside(axes: Any, shown: pd.DataFrame, costs: np.ndarray, errors: np.ndarray) -> None:
    """Write the names of points in a column beside the axes, in their order, so that they never overlap."""
    places = np.linspace(0.01, 0.99, len(shown)) if len(shown) > 1 else [0.5]
    line = {"arrowstyle": "-", "color": "0.8", "linewidth": 0.6, "shrinkB": 3, "relpos": (0, 0.5)}
    beside = {"textcoords": "axes fraction", "va": "center", "fontsize": 7.5, "annotation_clip": False}
    texts = shown["variant"] + [f" {100 * mean:.2f}" for mean in shown["test_accuracy_mean"]]
    for place, text, cost, error in zip(places, texts, costs, errors, strict=True):
        axes.annotate(text, (cost, error), (1.05, place), **beside, arrowprops=line)


def _titled(text: str, interval: str, variants: pd.DataFrame) -> str:
    """Return a title with the number of seeds, and with words on intervals if a variant has several seeds."""
    if variants.empty:
        return text
    return f"{text}{interval if (variants['n'] > 1).any() else ''} (n = {figures.counted(variants['n'])})"
