"""What the jobs of a study cost, according to Slurm's accounting."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc.cluster import slurm
from mnist_hpc.cluster.request import gpus_in
from mnist_hpc.errors import UserError
from mnist_hpc.study import layout
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.text import counted

FIELDS = "JobIDRaw,State,Submit,Start,ElapsedRaw,AllocNodes,AllocCPUS,AllocTRES,MaxRSS"
JOB_COLUMNS = [
    *("dataset", "variant", "job", "state", "queue_seconds", "wall_seconds", "nodes"),
    *("cpus", "gpus", "node_hours", "cpu_hours", "gpu_hours", "memory_peak_mb"),
]
# Instead of a variant: a job that works on the whole study, and the folder of the logs of such jobs.
NODE = "node"
UNITS = {"": 1e-6, "K": 1024 / 1e6, "M": 1024**2 / 1e6, "G": 1024**3 / 1e6, "T": 1024**4 / 1e6}


def numbers(logs: Path) -> dict[str, layout.Work]:
    """Return what each job worked on, by its Slurm number, according to the first lines of its log.

    Jobs of ``make node`` work on everything and are not among them.
    """
    found = {}
    for path in sorted(path for path in logs.rglob("*.log") if path.parent != logs / NODE):
        with path.open(errors="replace") as file:
            if work := layout.find(file.read(10_000)):
                found[path.stem] = work
    return found


def recorded(numbers: Iterable[str]) -> pd.DataFrame:
    """Return one row for each time that a job ran; a requeued job ran more than once.

    Columns: job, state, queue_seconds, wall_seconds, nodes, cpus, gpus, memory_peak_mb (of the largest step).
    """
    numbers = list(numbers)
    rows: list[dict[str, Any]] = []
    for begin in range(0, len(numbers), 500):
        some = ",".join(numbers[begin : begin + 500])
        for line in slurm.ask("sacct", "-D", "-n", "-P", "-j", some, "-o", FIELDS).splitlines():
            values = dict(zip(FIELDS.split(","), line.split("|"), strict=True))
            number, _, step = values["JobIDRaw"].partition(".")
            if step and rows and rows[-1]["job"] == number:
                rows[-1]["memory_peak_mb"] = max(rows[-1]["memory_peak_mb"], megabytes(values["MaxRSS"]))
            elif not step:
                rows.append(_row(number, values))
    return pd.DataFrame(rows)


def _row(number: str, values: dict[str, str]) -> dict[str, Any]:
    # Either the number of all GPUs, with or without that of each type, or only the latter.
    gpus = gpus_in(values["AllocTRES"])
    times = pd.to_datetime([values["Submit"], values["Start"]], errors="coerce")
    return {
        "job": number,
        "state": values["State"].split()[0],
        "queue_seconds": (times[1] - times[0]).total_seconds(),
        "wall_seconds": int(values["ElapsedRaw"]),
        "nodes": int(values["AllocNodes"] or 0),
        "cpus": int(values["AllocCPUS"]),
        "gpus": gpus.get("") or sum(gpus.values()),
        "memory_peak_mb": 0.0,
    }


def starts(study: Study, logs: Path) -> pd.DataFrame:
    """Return one row, with ``JOB_COLUMNS``, for each time that a job of the study ran, in the study's order.

    Jobs of ``make node`` come last, with "node" instead of a variant.
    """
    datasets = {name: variant.dataset for name, variant in study.variants.items()}
    datasets |= {f"sweep.{name}": sweep.variant.dataset for name, sweep in study.sweeps.items()}
    names = {number: work.name for number, work in numbers(logs).items() if work.name in datasets}
    names |= {path.stem: NODE for path in sorted((logs / NODE).glob("*.log"))}
    if not names:
        raise UserError(f"{logs}: no log of a Slurm job of this study; run it with a Slurm profile first")
    table = recorded(names)
    if table.empty:
        raise UserError(f"sacct knows none of the {counted(len(names), 'job')} of {logs}; its records may have expired")
    table["variant"] = table["job"].map(names)
    table["dataset"] = table["variant"].map({NODE: study.dataset} | datasets)
    for kind in ("node", "cpu", "gpu"):
        table[f"{kind}_hours"] = table["wall_seconds"] * table[f"{kind}s"] / 3600
    order = {name: place for place, name in enumerate([*datasets, NODE])}
    return table.sort_values("variant", key=lambda names: names.map(order), kind="stable")[JOB_COLUMNS]


def with_gpus_of_nodes(jobs: pd.DataFrame, gpus_per_node: int | None) -> pd.DataFrame:
    """Return the jobs of a site that allocates whole nodes and counts no GPUs: each job had those of its nodes.

    Without their number, ``gpus`` and ``gpu_hours`` are empty, as they are not known.
    """
    gpus = jobs["nodes"] * gpus_per_node if gpus_per_node else np.nan
    return jobs.assign(gpus=gpus, gpu_hours=jobs["wall_seconds"] * gpus / 3600)


def resources(starts: pd.DataFrame, trained: pd.Series) -> pd.DataFrame:
    """Return one row per variant and sweep (``sweep.<name>``) that had jobs; docs/results.md describes the columns.

    ``trained`` are the seconds spent in training loops, by variant.
    """
    groups = starts.assign(completed=starts["state"] == "COMPLETED").groupby(["dataset", "variant"], sort=False)
    table = groups.agg(
        jobs=("job", "nunique"),
        completed=("completed", "sum"),
        queue_seconds_mean=("queue_seconds", "mean"),
        queue_seconds_max=("queue_seconds", "max"),
        wall_seconds=("wall_seconds", "sum"),
        node_hours=("node_hours", "sum"),
        gpu_hours=("gpu_hours", lambda hours: hours.sum(min_count=1)),
        cpu_hours=("cpu_hours", "sum"),
        memory_peak_mb=("memory_peak_mb", "max"),
    ).reset_index()
    table["train_seconds"] = table["variant"].map(trained)
    table["training_share"] = table["train_seconds"] / table["wall_seconds"].where(table["wall_seconds"] > 0)
    return table


def megabytes(text: str) -> float:
    """Convert a size of sacct, such as 4000M or 123456K, to MB (10⁶ bytes); 0 if it is empty."""
    match = re.fullmatch(r"([\d.]+)([KMGT]?)", text)
    return float(match[1]) * UNITS[match[2]] if match else 0.0
