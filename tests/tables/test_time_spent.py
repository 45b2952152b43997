"""What the processes of trainings spent their time on."""

import math

import pandas as pd

from mnist_hpc.tables import time_spent


def runs(**changes):
    """Return rows of runs.csv: two seeds of one job, nine and a half seconds each, of which seven are training."""
    row = {"variant": "cnn", "status": "ok", "host": "node", "windows": 1, "startup_seconds": 2.0}
    row |= {"compile_seconds": 1.0, "train_seconds": 7.0, "process_seconds": 9.5}
    row |= {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:00:10+00:00"}
    return pd.DataFrame([row | changes, row | changes])


def test_jobs_cost_gpu_hours_or_node_hours_where_slurm_counts_no_gpus():
    jobs = pd.DataFrame({"gpu_hours": [math.nan, math.nan], "node_hours": [0.5, 0.5]})
    assert time_spent.hours(jobs) == ("node_hours", "node-hours")
    assert time_spent.hours(jobs.assign(gpu_hours=[math.nan, 0.25])) == ("gpu_hours", "GPU-hours")


def test_time_is_split_into_what_it_was_spent_on():
    (row,) = time_spent.parts(runs()).to_dict("records")
    # Start-up and compiling happen once in a job.
    assert row == {"start-up": 2.0, "compiling": 1.0, "training": 14.0, "validation, saving": 5.0, "waiting": 0.0}


def test_the_time_between_the_processes_of_a_training_is_not_their_work():
    # 100 s of training that a short queue spread over ten hours, in four processes.
    spread = {"finished": "2026-01-01T10:00:00+00:00", "windows": 4, "train_seconds": 100.0, "process_seconds": 104.0}
    (row,) = time_spent.parts(runs(**spread).iloc[:1]).to_dict("records")
    assert row["validation, saving"] == 4
    assert row["waiting"] == 36_000 - 104
