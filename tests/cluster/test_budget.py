"""What sweeps are said to cost before they run."""

import pytest

from conftest import SMALL_STUDY
from mnist_hpc.cluster import budget
from mnist_hpc.files import csv_table
from mnist_hpc.study.layout import RUN_COLUMNS
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import sweep_status

HALVED = "space: {learning_rate: {uniform: [0.1, 1.0]}}, points: 27, images: 9000"


def study_of(tmp_path, keys):
    """Return a study with a sweep of the regression, which does 60 steps of 100 images."""
    (tmp_path / "config.yaml").write_text(SMALL_STUDY + f"sweeps: {{s: {{variant: regression, {keys}}}}}\n")
    return Study.read(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("keys", "images"),
    [
        ("grid: {learning_rate: [0.1, 0.2]}, seeds: 3", 2 * 3 * 6000),
        # Points that differ in their steps alone are one training.
        ("grid: {learning_rate: [0.1, 0.2], steps: [10, 20]}, seeds: 1", 2 * 2000),
        ("space: {learning_rate: [0.1, 0.2], steps: [10, 20]}, points: 4, seeds: 1", 2 * 2000),
        ("grid: {batch_size: [10, 50], steps: [10, 20]}, seeds: 1", 200 + 1000),
        ("space: {learning_rate: {uniform: [0.1, 1.0]}}, points: 5, images: 9000, seeds: 2", 10 * 9000),
        # 27 points see 1000 images, 9 of them 2000 more, 3 of these 6000 more; then three finalists with five seeds.
        (f"{HALVED}, seeds: 1, halving: {{}}", 27 * 1000 + 9 * 2000 + 3 * 6000 + 15 * 9000),
        # Two brackets of 14 and 13 points, each with its own finalist.
        (
            f"{HALVED}, seeds: 2, jobs: 2, halving: {{factor: 9, finalists: 1, fresh_seeds: 2}}",
            2 * (27 * 1000 + 2 * 8000) + 2 * 2 * 9000,
        ),
    ],
    ids=["grid", "steps are read off", "also in a space", "batches", "space", "halved", "brackets"],
)
def test_the_images_of_a_sweep_are_known_beforehand(tmp_path, keys, images):
    study = study_of(tmp_path, keys)
    assert budget.planned_images(study, study.sweeps["s"]) == images


def test_the_time_follows_from_earlier_runs_of_the_variant(tmp_path):
    study = study_of(tmp_path, f"{HALVED}, seeds: 1, halving: {{}}")
    planned = "sweep s: 27 points with 1 seed in 3 rungs, then 3 finalists with 5 seeds, 198,000 images"
    sweeps = sweep_status.to_run(study, tmp_path, "hash")
    assert budget.lines(study, tmp_path, sweeps) == [planned]
    rows = [{"seed": seed, "images_per_second": 990} for seed in (0, 1)]
    csv_table.write(tmp_path / study.blocks_of("regression")[0].folder / "metrics.csv", RUN_COLUMNS, rows)
    assert budget.lines(study, tmp_path, sweeps) == [f"{planned}, about 3 min 20 s of training"]


def test_each_bracket_has_finalists_of_its_own(tmp_path):
    # Of 14 and 13 points, 4 each are in the second rung, and the best 3 of the last one are finalists.
    study = study_of(tmp_path, f"{HALVED}, seeds: 1, jobs: 2, halving: {{}}")
    assert "in 3 rungs, then 6 finalists with 5 seeds" in budget.described(study.sweeps["s"])
    study = study_of(tmp_path, f"{HALVED.replace('27', '2')}, seeds: 1, halving: {{}}")
    assert "2 points with 1 seed in 3 rungs, then 2 finalists" in budget.described(study.sweeps["s"])
