"""What the benchmarks come to: summary.csv, one line a claim, benchmarks.svg, and search.svg."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import search
from contenders.protocol import WORKLOADS

mpl.use("svg")
import matplotlib.pyplot as plt

OURS = "mnist-hpc"
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = {
    OURS: "#D55E00",
    f"{OURS} float32": "#E69F00",
    f"{OURS} TF32": "#F0E442",
    "Keras fit": "#56B4E9",
    "PyTorch": "#009E73",
    "PyTorch compiled": "#8FD3BC",
    "JAX": "#0072B2",
    "scikit-learn": "#999999",
}
# Of the methods of search.py.
METHODS = {
    "grid": "#999999",
    "random": "#56B4E9",
    "halving": "#D55E00",
    "Optuna, successive halving": "#009E73",
    "Optuna, Hyperband": "#0072B2",
}
# What is said of a search, with its unit.
SEARCHED = {
    "images": "images",
    "validation_loss": "nats",
    "validation_accuracy": "",
    "seconds": "s",
    "processor_seconds": "s",
}


def write(folder: Path) -> None:
    """Write ``summary.csv`` and the pictures from the tables that are there."""
    lines: list[dict[str, object]] = []
    if (path := folder / "training.csv").exists():
        training = pd.read_csv(path)
        lines += ratios(training)
        draw(training, folder / "benchmarks.svg", json.loads((folder / "machine.json").read_text()))
    if (path := folder / "gpu-peers.csv").exists():
        peers = pd.read_csv(path)
        for ours in (name for name in COLOURS if name.startswith(OURS)):
            lines += [line | {"what": f"GPU: {line['what']}"} for line in ratios(peers, ours)]
    if paths := [path for name in search.PARTS if (path := folder / f"{name}.csv").exists()]:
        found = pd.concat([pd.read_csv(path) for path in paths])
        lines += searches(found)
        draw_searches(found, folder / "search.svg")
    for name, keys, unit in (
        ("job", ["variant", "piece"], "s"),
        ("sweeps", ["contender"], "s for all trainings"),
        ("startup", ["command"], "s"),
        ("demo", ["moment"], "s"),
        ("data", ["work"], "s"),
        ("scale", ["work", "jobs"], "s"),
    ):
        if (path := folder / f"{name}.csv").exists():
            for key, group in pd.read_csv(path).groupby(keys, sort=False):
                what = f"{name}: {' '.join(map(str, key))}"
                lines.append({"what": what, "median": group["seconds"].median(), "n": len(group), "unit": unit})
    table = pd.DataFrame(lines, columns=["what", "median", "low", "high", "n", "unit"])
    table.to_csv(folder / "summary.csv", index=False)
    print(table.round(3).to_string(index=False, na_rep=""))


def ratios(training: pd.DataFrame, ours: str = OURS) -> list[dict[str, object]]:
    """Return how many times faster than each contender, pair by pair: median and quartiles."""
    lines = []
    for (workload, call), group in training.groupby(["workload", "call"], sort=False):
        seconds = group.pivot(index="round", columns="contender", values="seconds")
        for contender in [name for name in COLOURS if {name, ours} <= set(seconds) and name != ours]:
            pairs = (seconds[contender] / seconds[ours]).dropna()  # without those of which one failed
            if pairs.empty:
                continue
            low, median, high = np.quantile(pairs, [0.25, 0.5, 0.75])
            what = f"{workload}, {call} call: {contender} / {ours}"
            lines.append({"what": what, "median": median, "low": low, "high": high, "n": len(pairs), "unit": "times"})
    return lines


def searches(table: pd.DataFrame) -> list[dict[str, object]]:
    """Return medians and quartiles over repetitions of what each search took and reached, and of that beside the grid.

    Repetitions are compared pair by pair: how many times more images the grid trains, and how much higher the loss of
    the choice is than that of the grid's.
    """
    lines = []

    def add(what: str, values: pd.Series, unit: str) -> None:
        if len(values := values.dropna()):
            low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
            line = {"what": f"search: {what}", "median": median, "low": low, "high": high, "n": len(values)}
            lines.append(line | {"unit": unit})

    for problem, of_problem in table.groupby("problem", sort=False):
        pairs = {name: of_problem.pivot(index="repetition", columns="method", values=name) for name in SEARCHED}
        for method in [name for name in METHODS if name in pairs["images"]]:
            for name, unit in SEARCHED.items():
                add(f"{problem}, {method}: {name}", pairs[name][method], unit)
            if method != "grid" and "grid" in pairs["images"]:
                images, losses = pairs["images"], pairs["validation_loss"]
                add(f"{problem}, images: grid / {method}", images["grid"] / images[method], "times")
                add(f"{problem}, validation_loss: {method} - grid", losses[method] - losses["grid"], "nats")
    return lines


def draw_searches(table: pd.DataFrame, path: Path) -> None:
    """Draw the loss that choices reach, and the images trained: small dots are repetitions, large ones medians.

    Args:
        table: Rows of all parts of search.py.
        path: SVG file to write.
    """
    problems = list(dict.fromkeys(table["problem"]))
    plt.rcParams.update({"font.size": 10, "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(1, len(problems), figsize=(3.6 * len(problems), 3.6), layout="constrained")
    for panel, problem in zip(np.atleast_1d(panels), problems, strict=True):
        group = table[table["problem"] == problem]
        there = [method for method in METHODS if method in set(group["method"])]
        spent = group.groupby("method")["images"].median()
        for place, method in enumerate(there):
            losses = group.loc[group["method"] == method, "validation_loss"]
            panel.plot(np.full(len(losses), place), losses, ".", color=METHODS[method], markersize=4, alpha=0.6)
            panel.plot(place, losses.median(), "o", color=METHODS[method], markersize=8, label=method)
        panel.set(title=problem, xlabel="million images trained", xlim=(-0.5, len(there) - 0.5))
        panel.set_xticks(range(len(there)), [f"{spent[method] / 1e6:.1f}" for method in there])
    np.atleast_1d(panels)[0].set_ylabel("validation loss of the choice, nats")
    handles, names = np.atleast_1d(panels)[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(METHODS), frameon=False, fontsize=9)
    figure.savefig(path)
    plt.close(figure)


def draw(training: pd.DataFrame, path: Path, machine: dict[str, object]) -> None:
    """Draw images a second of every contender, later calls; bars are medians, points single calls."""
    training = training[training["call"] == "later"]
    workloads = list(dict.fromkeys(training["workload"]))
    plt.rcParams.update({"font.size": 10, "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(1, len(workloads), figsize=(2.6 * len(workloads), 3.6), layout="constrained")
    for panel, workload in zip(np.atleast_1d(panels), workloads, strict=True):
        group = training[training["workload"] == workload]
        names = [name for name in COLOURS if name in set(group["contender"])]
        for place, name in enumerate(names):
            speed = WORKLOADS[workload].images / group.loc[group["contender"] == name, "seconds"]
            panel.bar(place, speed.median(), color=COLOURS[name], width=0.7)
            panel.plot(np.full(len(speed), place), speed, ".", color="black", markersize=3, alpha=0.5)
        panel.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
        panel.set_title(workload, fontsize=10)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
    np.atleast_1d(panels)[0].set_ylabel("training, images/s")
    calls = training.groupby(["workload", "contender"]).size().unique()
    where = f"{machine['cores']} cores, {machine['processor']}, {machine['date']}"
    note = f"{where}; bars: medians of {' or '.join(map(str, calls))} calls, made in turn"
    figure.supxlabel(note, fontsize=8)
    figure.savefig(path)
    plt.close(figure)
