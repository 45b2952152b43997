"""What the study cost: where the time of each job went, and what the jobs of a cluster waited and used."""

from pathlib import Path

import numpy as np
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.text import duration

PARTS = {
    "start-up": style.PURPLE,
    "compiling": style.ORANGE,
    "training": style.BLUE,
    "validation, saving": style.GREEN,
}


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the figure of a kind."""
    folder = results / study.dataset
    path = folder / "figures" / f"{kind}.svg"
    if kind == "slurm":
        slurm_jobs(pd.read_csv(folder / "tables" / "jobs.csv"), path)
    else:
        job_times(parts(pd.read_csv(folder / "tables" / "runs.csv")), study.dataset, path)


def parts(runs: pd.DataFrame) -> pd.DataFrame:
    """Return by variant the seconds that training its seeds took, by what they were spent on (columns: ``PARTS``).

    Start-up and compiling happen once a job, so a job counts once; what is left between the first second of a seed
    and its last is validation and saving, to the second.
    """
    rows = {}
    for variant, group in runs[runs["status"].isin(["ok", "failed"])].groupby("variant", sort=False):
        jobs = group.drop_duplicates(["host", "compile_seconds"])
        whole = (pd.to_datetime(group["finished"]) - pd.to_datetime(group["started"])).dt.total_seconds().sum()
        training = group["train_seconds"].sum()
        rows[variant] = {
            "start-up": jobs["startup_seconds"].sum(),
            "compiling": jobs["compile_seconds"].sum(),
            "training": training,
            "validation, saving": max(whole - training, 0.0),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(PARTS)).fillna(0.0)


def job_times(table: pd.DataFrame, dataset: str, path: Path) -> None:
    """Draw one bar a variant, as ``parts`` returns them: shares of its time, and the time itself beside.

    Args:
        table: as ``parts`` returns it.
        dataset: of the study.
        path: of the SVG to write.
    """
    table = table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index[: figures.MOST]]
    title = f"Study of {dataset}: where the time of training went,\nall seeds of a variant together, %"
    with style.figure(path, 1.2 + 0.2 * max(len(table), 5), title) as made:
        if table.empty:
            return style.say_nothing_is_there(made)
        whole, left = table.sum(axis=1), np.zeros(len(table))
        axes = made.subplots()
        for part, colour in PARTS.items():
            share = 100 * table[part] / whole.where(whole > 0, 1)
            axes.barh(range(len(table)), share, left=left, color=colour, label=part, height=0.7)
            left += share
        axes.set_yticks(range(len(table)), table.index)
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.set_xlim(0, 100)
        axes.tick_params(axis="y", length=0)
        times = axes.secondary_yaxis("right")
        times.set_yticks(range(len(table)), map(duration, whole))
        times.tick_params(length=0)
        made.legend(loc="outside lower center", ncols=4, handlelength=1, columnspacing=1)
    return None


def slurm_jobs(jobs: pd.DataFrame, path: Path) -> None:
    """Draw each start of each Slurm job: how long it waited in the queue and how long it ran; GPU-hours beside.

    Args:
        jobs: the table of that name.
        path: of the SVG to write.
    """
    cost = jobs.groupby("variant", sort=False)["gpu_hours"].sum()
    names = cost.sort_values(ascending=False, kind="stable").index[: figures.MOST]
    shown = jobs[jobs["variant"].isin(names)]
    title = (
        f"{jobs['job'].nunique()} Slurm jobs, {jobs['gpu_hours'].sum():.3g} GPU-hours: seconds in the queue and running"
    )
    with style.figure(path, 1.3 + 0.2 * max(len(names), 5), title) as made:
        if shown.empty:
            return style.say_nothing_is_there(made, "Slurm's accounting knows no job of this study")
        axes = made.subplots()
        places = {name: place for place, name in enumerate(names)}
        where = shown["variant"].map(places)
        ended = shown["state"] == "COMPLETED"
        looks = {
            "queue_seconds": ("o", style.ORANGE, -0.15, "in the queue"),
            "wall_seconds": ("s", style.BLUE, 0.15, "running"),
        }
        for column, (marker, colour, shift, label) in looks.items():
            seconds = shown[column].clip(lower=0.5)
            axes.plot(seconds[ended], where[ended] + shift, marker, color=colour, label=label, markersize=4)
            hollow = (seconds[~ended], where[~ended] + shift, marker)
            axes.plot(*hollow, color=colour, markersize=4, fillstyle="none")
        axes.set_xscale("log")
        axes.set_xlabel("seconds (hollow: cut off, failed or still running)")
        axes.grid(axis="x", color="0.92", linewidth=0.6)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        hours = axes.secondary_yaxis("right")
        hours.set_yticks(range(len(names)), [f"{cost[name]:.3g} GPU-h" for name in names])
        hours.tick_params(length=0)
        made.legend(loc="outside lower center", ncols=2)
    return None
