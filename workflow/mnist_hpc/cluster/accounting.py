"""What the jobs of a study cost, as Slurm's accounting recorded it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_hpc.cluster import slurm
from mnist_hpc.errors import UserError
from mnist_hpc.study import layout
from mnist_hpc.study.specification import Study

FIELDS = "JobIDRaw,State,Submit,Start,ElapsedRaw,AllocCPUS,AllocTRES,ReqMem,TotalCPU,MaxRSS"
COLUMNS = [
    *("dataset", "variant", "jobs", "completed", "queue_seconds_mean", "queue_seconds_max", "wall_seconds"),
    *("gpu_hours", "cpu_hours", "cpu_efficiency", "memory_peak_mb", "memory_efficiency", "train_seconds"),
    "training_share",
]
JOB_COLUMNS = [
    *("dataset", "variant", "job", "state", "queue_seconds", "wall_seconds", "cpus", "gpus", "gpu_hours"),
    *("cpu_seconds", "memory_mb", "memory_peak_mb"),
]
UNITS = {"": 1e-6, "K": 1024 / 1e6, "M": 1024**2 / 1e6, "G": 1024**3 / 1e6, "T": 1024**4 / 1e6}


def numbers(logs: Path) -> dict[str, layout.Work]:
    """Return what every job that left a log worked on, by the job's number; its log names it in the first lines."""
    found = {}
    for path in sorted(logs.rglob("*.log")):
        with path.open(errors="replace") as file:
            work = layout.find(file.read(10_000))
        if work:
            found[path.stem] = work
    return found


def recorded(numbers: Iterable[str]) -> pd.DataFrame:
    """Return what accounting recorded of jobs, one row for each time one ran (a requeued job ran more than once).

    Columns: job, state, queue_seconds, wall_seconds, cpus, gpus, cpu_seconds (used), memory_mb (asked for, all CPUs
    together), memory_peak_mb (of its largest step).
    """
    numbers = list(numbers)
    rows: list[dict[str, Any]] = []
    for begin in range(0, len(numbers), 500):
        some = ",".join(numbers[begin : begin + 500])
        for line in slurm.ask("sacct", "-D", "-n", "-P", "-j", some, "-o", FIELDS).splitlines():
            values = dict(zip(FIELDS.split(","), line.split("|"), strict=True))
            number, _, step = values["JobIDRaw"].partition(".")
            if step and rows and rows[-1]["job"] == number:
                peak = megabytes(values["MaxRSS"])
                rows[-1]["memory_peak_mb"] = max(rows[-1]["memory_peak_mb"], peak)
            elif not step:
                rows.append(_row(number, values))
    return pd.DataFrame(rows)


def _row(number: str, values: dict[str, str]) -> dict[str, Any]:
    gpus = re.search(r"gres/gpu=(\d+)", values["AllocTRES"])
    times = pd.to_datetime([values["Submit"], values["Start"]], errors="coerce")
    return {
        "job": number,
        "state": values["State"].split()[0],
        "queue_seconds": (times[1] - times[0]).total_seconds(),
        "wall_seconds": int(values["ElapsedRaw"]),
        "cpus": int(values["AllocCPUS"]),
        "gpus": int(gpus[1]) if gpus else 0,
        "cpu_seconds": seconds(values["TotalCPU"]),
        "memory_mb": megabytes(values["ReqMem"].rstrip("nc")),
        "memory_peak_mb": 0.0,
    }


def starts(study: Study, logs: Path) -> pd.DataFrame:
    """Return one row for each time that a job of the study ran (columns: ``JOB_COLUMNS``), in the study's order.

    Raises:
        UserError: no log names a job of the study, or there is no accounting.
    """
    datasets = {name: variant.dataset for name, variant in study.variants.items()}
    datasets |= {f"sweep.{name}": sweep.variant.dataset for name, sweep in study.sweeps.items()}
    works = {number: work for number, work in numbers(logs).items() if work.name in datasets}
    if not works:
        raise UserError(f"{logs}: no log of a Slurm job of this study; run it with a Slurm profile first")
    table = recorded(works)
    if table.empty:
        raise UserError(
            f"sacct knows none of the {len(works)} jobs of {logs}; accounting may keep them for a time only"
        )
    table["variant"] = [works[number].name for number in table["job"]]
    table["dataset"] = table["variant"].map(datasets)
    table["gpu_hours"] = table["wall_seconds"] * table["gpus"] / 3600
    order = {name: place for place, name in enumerate(datasets)}
    return table.sort_values("variant", key=lambda names: names.map(order), kind="stable")[JOB_COLUMNS]


def resources(starts: pd.DataFrame, trained: pd.Series) -> pd.DataFrame:
    """Return one row per variant and sweep (``sweep.<name>``) of the study that had jobs.

    Args:
        starts: of all jobs.
        trained: seconds of the training loops alone, by variant.

    Columns, as described in ``results/README.md``: dataset, variant; jobs and completed, counts; queue_seconds_mean
    and _max; wall_seconds, gpu_hours and cpu_hours (allocated), sums over the jobs; cpu_efficiency, CPU time used
    over allocated; memory_peak_mb, of the largest job, and memory_efficiency, the largest share that a job used of
    what it asked for; train_seconds, of the training loops alone, of the runs in runs.csv, and training_share, what
    they are of wall_seconds.
    """
    rows = []
    for (dataset, name), group in starts.groupby(["dataset", "variant"], sort=False):
        wall = group["wall_seconds"]
        allocated = (wall * group["cpus"]).sum()
        rows.append(
            {
                "dataset": dataset,
                "variant": name,
                "jobs": group["job"].nunique(),
                "completed": int((group["state"] == "COMPLETED").sum()),
                "queue_seconds_mean": group["queue_seconds"].mean(),
                "queue_seconds_max": group["queue_seconds"].max(),
                "wall_seconds": wall.sum(),
                "gpu_hours": group["gpu_hours"].sum(),
                "cpu_hours": allocated / 3600,
                "cpu_efficiency": group["cpu_seconds"].sum() / allocated if allocated else float("nan"),
                "memory_peak_mb": group["memory_peak_mb"].max(),
                "memory_efficiency": (group["memory_peak_mb"] / group["memory_mb"].where(group["memory_mb"] > 0)).max(),
                "train_seconds": trained.get(name),
                "training_share": trained.get(name, float("nan")) / wall.sum() if wall.sum() else float("nan"),
            }
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def seconds(text: str) -> float:
    """Return a time of sacct ([days-][hours:]minutes:seconds[.fraction]) in seconds."""
    days, _, rest = text.rpartition("-")
    total = 0.0
    for part in rest.split(":"):
        total = 60 * total + float(part or 0)
    return total + 86400 * int(days or 0)


def megabytes(text: str) -> float:
    """Return a size of sacct, as 4000M or 123456K, in MB of a million bytes; 0 for none."""
    match = re.fullmatch(r"([\d.]+)([KMGT]?)", text)
    return float(match[1]) * UNITS[match[2]] if match else 0.0
