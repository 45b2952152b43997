"""What training and jobs cost."""

import numpy as np
import pandas as pd
import pytest
from drawn import STUDIES, texts

from mnist_hpc.figures import cost
from mnist_hpc.tables import time_spent


def test_the_time_between_the_processes_of_a_training_stands_beside_theirs(tmp_path):
    seconds = {"start-up": 2.0, "compiling": 1.0, "training": 100.0, "validation, saving": 4.0, "waiting": 35_896.0}
    cost.job_times(pd.DataFrame([seconds], index=["variant-0"]), "mnist", tmp_path / "figure.svg")
    assert "1 min 47 s + 9 h 58 min waiting" in texts(tmp_path / "figure.svg")


@pytest.mark.parametrize("case", STUDIES)
def test_times_of_any_study_are_drawn(case, tmp_path):
    _, runs = STUDIES[case]
    cost.job_times(time_spent.parts(runs), "mnist", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert all(variant in found for variant in set(runs["variant"]))
    assert all(part in found for part in time_spent.PARTS)


def test_slurm_jobs_show_hours_and_what_was_cut_off(tmp_path):
    jobs = pd.DataFrame(
        {
            "variant": ["cnn", "cnn", "mlp"],
            "job": ["1", "1", "2"],
            "state": ["TIMEOUT", "COMPLETED", "COMPLETED"],
            "queue_seconds": [10, 0, 3600],
            "wall_seconds": [3600, 60, 30],
            "gpu_hours": [1.0, 1 / 60, 0.5],
            "node_hours": [4.0, 1.0, 0.25],
        }
    )
    cost.slurm_jobs(jobs, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "2 Slurm jobs, 1.52 GPU-hours" in found
    assert "1.02 GPU-h" in found
    cost.slurm_jobs(jobs.assign(gpu_hours=np.nan), tmp_path / "nodes.svg")  # of a site that allocates whole nodes
    found = texts(tmp_path / "nodes.svg")
    assert "2 Slurm jobs, 5.25 node-hours" in found
    assert "0.25 node-h" in found
    cost.slurm_jobs(jobs.iloc[:0], tmp_path / "empty.svg")
    assert "has no job" in texts(tmp_path / "empty.svg")
