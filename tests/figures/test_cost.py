"""What training and jobs cost."""

import pandas as pd
import pytest
from drawn import STUDIES, tables, texts

from mnist_hpc.figures import cost


def test_time_is_split_into_what_it_was_spent_on():
    _, runs = tables(1, seeds=2)
    (row,) = cost.parts(runs).to_dict("records")
    # One job of two seeds: start-up and compiling once, nine and a half seconds a seed of which seven are training.
    assert row == {"start-up": 2.0, "compiling": 1.0, "training": 14.0, "validation, saving": 5.0, "waiting": 0.0}


def test_the_time_between_the_processes_of_a_training_is_not_their_work(tmp_path):
    # 100 s of training that a short queue spread over ten hours, in four processes.
    _, runs = tables(1, seeds=1)
    spread = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T10:00:00+00:00", "windows": 4}
    runs = runs.assign(**spread, train_seconds=100.0, process_seconds=104.0)
    table = cost.parts(runs)
    (row,) = table.to_dict("records")
    assert row["validation, saving"] == 4
    assert row["waiting"] == 36_000 - 104
    cost.job_times(table, "mnist", tmp_path / "figure.svg")
    assert "1 min 47 s + 9 h 58 min waiting" in texts(tmp_path / "figure.svg")


@pytest.mark.parametrize("case", STUDIES)
def test_times_of_any_study_are_drawn(case, tmp_path):
    _, runs = STUDIES[case]
    cost.job_times(cost.parts(runs), "mnist", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert all(variant in found for variant in set(runs["variant"]))
    assert all(part in found for part in cost.PARTS)


def test_slurm_jobs_show_hours_and_what_was_cut_off(tmp_path):
    jobs = pd.DataFrame(
        {
            "variant": ["cnn", "cnn", "mlp"],
            "job": ["1", "1", "2"],
            "state": ["TIMEOUT", "COMPLETED", "COMPLETED"],
            "queue_seconds": [10, 0, 3600],
            "wall_seconds": [3600, 60, 30],
            "gpu_hours": [1.0, 1 / 60, 0.5],
        }
    )
    cost.slurm_jobs(jobs, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "2 Slurm jobs, 1.52 GPU-hours" in found
    assert "1.02 GPU-h" in found
    cost.slurm_jobs(jobs.iloc[:0], tmp_path / "empty.svg")
    assert "has no job" in texts(tmp_path / "empty.svg")
