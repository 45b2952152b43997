"""The figures of sweeps, ``figures/grids.py``: all values and what lies at the edge."""

import numpy as np
import pandas as pd
import pytest
from drawn import texts

from conftest import TUNED
from mnist_hpc.figures import grids
from mnist_hpc.study.grids import label
from mnist_hpc.study.specification import Study


def sweep_of(grid, tmp_path, images="jobs: 1"):
    """Return a sweep over a grid, and its points with a loss that is lowest at the last values."""
    study = TUNED.replace(
        "{learning_rate: [0.001, 0.01, 0.1], steps: [10, 20], batch_size: [20, 100]}", str(grid)
    ).replace("jobs: 1", images)
    (tmp_path / "config.yaml").write_text(study)
    sweep = Study.read(tmp_path / "config.yaml").sweeps["rates"]
    count = int(np.prod([len(values) for values in grid.values()]))
    rows = [
        {"point": point, "seed": seed, "status": "ok", "validation_loss": 1 / (point + 1)}
        for point in range(count)
        for seed in (0, 1)
    ]
    return sweep, pd.DataFrame(rows)


@pytest.mark.parametrize(
    "grid",
    [
        {"learning_rate": [0.1, 0.2, 0.4]},
        {"learning_rate": [0.1], "optimizer": ["Adam", {"SGD": {"momentum": 0.9}}]},
        {"learning_rate": [0.1, 0.2], "steps": [5, 10], "batch_size": [20, 50], "l2": [0.0, 0.1]},
    ],
    ids=lambda grid: f"{len(grid)} keys",
)
def test_a_sweep_of_any_grid_names_all_values_and_the_edge(grid, tmp_path):
    sweep, points = sweep_of(grid, tmp_path)
    points.loc[0, ["status", "validation_loss"]] = ["failed", np.nan]
    table = grids.losses(points, sweep)
    assert table["loss"].isna().tolist() == [True] + [False] * (len(table) - 1)
    best = {"values": {key: values[-1] for key, values in grid.items()}, "at_the_edge": ["learning_rate", "l2 with x"]}
    grids.heat_maps(table, best, sweep, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "lowest loss at the edge of the grid: learning_rate" in found
    assert "lowest loss at the edge of the grid: l2 with x" in found
    for key, values in grid.items():
        if len(values) > 1:
            assert key in found
            assert all(label(value) in found for value in values)


def test_steps_that_follow_from_images_are_no_axis(tmp_path):
    grid = {"learning_rate": [0.1, 0.2, 0.4], "batch_size": [20, 50]}
    sweep, points = sweep_of(grid, tmp_path, images="images: 1000")
    best = {"values": {"learning_rate": 0.4, "batch_size": 50, "steps": 20}, "at_the_edge": []}
    grids.heat_maps(grids.losses(points, sweep), best, sweep, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "learning_rate" in found
    assert "batch_size" in found
    assert "steps" not in found
