"""What the benchmarks come to: summary.csv, one line a claim, and benchmarks.svg."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
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


def write(folder: Path) -> None:
    """Write ``summary.csv`` and the picture from the tables that are there."""
    lines: list[dict[str, object]] = []
    if (path := folder / "training.csv").exists():
        training = pd.read_csv(path)
        lines += ratios(training)
        draw(training, folder / "benchmarks.svg", json.loads((folder / "machine.json").read_text()))
    if (path := folder / "gpu-peers.csv").exists():
        peers = pd.read_csv(path)
        for ours in (name for name in COLOURS if name.startswith(OURS)):
            lines += [line | {"what": f"GPU: {line['what']}"} for line in ratios(peers, ours)]
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
