"""What the study cost: how the time of each job was spent, and how long the jobs of a cluster waited and ran."""

from pathlib import Path

import numpy as np
import pandas as pd

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import time_spent
from mnist_hpc.tables.reading import read_jobs, read_table
from mnist_hpc.tables.text import duration
from mnist_hpc.tables.time_spent import PARTS

COLOURS = (style.PURPLE, style.ORANGE, style.BLUE, style.GREEN)


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the figure of a kind."""
    tables = results / study.dataset / "tables"
    path = results / figures.files(study, kind)[""]
    if kind == "slurm":
        slurm_jobs(read_jobs(tables / "jobs.csv"), path)
    else:
        job_times(time_spent.parts(read_table(tables / "runs.csv")), study.dataset, path)


def job_times(table: pd.DataFrame, dataset: str, path: Path) -> None:
    """Draw one bar per variant: shares of the time that ``time_spent.parts`` returns; times at the right."""
    order = table[PARTS].sum(axis=1).sort_values(ascending=False, kind="stable").index
    table = table.loc[order[: figures.MOST]]
    title = f"Study of {dataset}: how the processes of trainings spent their time,\nall seeds of a variant together, %"
    with style.figure(path, 1.2 + 0.2 * max(len(table), 5), title) as made:
        if table.empty:
            style.note(made)
            return
        whole, left = table[PARTS].sum(axis=1), np.zeros(len(table))
        axes = made.subplots()
        for part, colour in zip(PARTS, COLOURS, strict=True):
            share = 100 * table[part] / whole.where(whole > 0, 1)
            axes.barh(range(len(table)), share, left=left, color=colour, label=part, height=0.7)
            left += share
        axes.set(yticks=range(len(table)), yticklabels=table.index, ylim=(len(table) - 0.4, -0.6), xlim=(0, 100))
        axes.tick_params(axis="y", length=0)
        waits = [f" + {duration(seconds)} waiting" if seconds >= 1 else "" for seconds in table["waiting"]]
        style.right_labels(axes, [duration(seconds) + wait for seconds, wait in zip(whole, waits, strict=True)])
        made.legend(loc="outside lower center", ncols=4, handlelength=1, columnspacing=1)


def slurm_jobs(jobs: pd.DataFrame, path: Path) -> None:
    """Draw the time that each start of each job in jobs.csv waited in the queue and ran.

    At the right are GPU-hours or, where Slurm does not count GPUs, node-hours.
    """
    hours, unit = time_spent.hours(jobs)
    cost = jobs.groupby("variant", sort=False)[hours].sum()
    cost = cost.sort_values(ascending=False, kind="stable").head(figures.MOST)
    shown = jobs[jobs["variant"].isin(cost.index)]
    title = f"{jobs['job'].nunique()} Slurm jobs, {jobs[hours].sum():.3g} {unit}"
    with style.figure(path, 1.3 + 0.2 * max(len(cost), 5), f"{title}: seconds in the queue and running") as made:
        if shown.empty:
            style.note(made, "Slurm's accounting has no job of this study")
            return
        axes = made.subplots()
        where = shown["variant"].map({name: place for place, name in enumerate(cost.index)})
        ended = shown["state"] == "COMPLETED"
        for column, marker, colour, shift, label in (
            ("queue_seconds", "o", style.ORANGE, -0.15, "in the queue"),
            ("wall_seconds", "s", style.BLUE, 0.15, "running"),
        ):
            seconds, rows = shown[column].clip(lower=0.5), where + shift
            axes.plot(seconds[ended], rows[ended], marker, color=colour, label=label)
            axes.plot(seconds[~ended], rows[~ended], marker, color=colour, fillstyle="none")
        axes.set(xscale="log", xlabel="seconds (hollow: interrupted, failed or still running)")
        axes.grid(axis="x", **style.GRID)
        axes.set(yticks=range(len(cost)), yticklabels=cost.index, ylim=(len(cost) - 0.4, -0.6))
        style.right_labels(axes, [f"{value:.3g} {unit.removesuffix('ours')}" for value in cost])
        made.legend(loc="outside lower center", ncols=2)
