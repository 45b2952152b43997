"""What the processes of trainings spent their time on."""

import pandas as pd

PARTS = ["start-up", "compiling", "training", "validation, saving"]


def hours(jobs: pd.DataFrame) -> tuple[str, str]:
    """Return the column of jobs.csv with what the jobs cost, and its unit: node-hours where Slurm counts no GPUs."""
    return ("gpu_hours", "GPU-hours") if jobs["gpu_hours"].notna().any() else ("node_hours", "node-hours")


def parts(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds that training all seeds of each variant took, by what they were spent on (``PARTS``).

    Start-up and compiling happen once per job and are counted once. Of the other time of the processes, what is not
    training is validation and saving. ``waiting`` is the time between the processes of trainings that were interrupted:
    in a queue, or in a process that was killed before it could save.
    """
    rows = {}
    for variant, group in runs[runs["status"].isin(["ok", "failed"])].groupby("variant", sort=False):
        jobs = group.drop_duplicates(["host", "compile_seconds"])
        whole = (pd.to_datetime(group["finished"]) - pd.to_datetime(group["started"])).dt.total_seconds()
        waiting = (whole - group["process_seconds"]).where(group["windows"] > 1, 0.0).clip(lower=0).sum()
        training, process = group["train_seconds"].sum(), group["process_seconds"].sum()
        once = jobs["startup_seconds"].sum(), jobs["compile_seconds"].sum()
        seconds = (*once, training, max(process - training, 0.0), waiting)
        rows[variant] = dict(zip([*PARTS, "waiting"], seconds, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*PARTS, "waiting"]).fillna(0.0)
