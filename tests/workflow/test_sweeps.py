"""Sweeps in the workflow: shared among jobs, taken over by variants, and made again when they change."""

import json

import pandas as pd
import pytest

from conftest import SWEEP, TUNED, copy_project, run, snakemake
from mnist_hpc.training.models_file import read_models

pytestmark = pytest.mark.slow


def test_jobs_that_share_a_sweep_give_the_same_table(tmp_path):
    project = copy_project(tmp_path / "study", SWEEP)
    best = "results/digits/sweeps/rates/best.json"
    tables = []
    for jobs in (1, 4):
        (project / "config.yaml").write_text(SWEEP.replace("jobs: 1", f"jobs: {jobs}"))
        result = snakemake(project, best)
        assert result.returncode == 0, result.stdout
        assert "at the edge of the grid: learning_rate" in (project / "logs/digits/sweeps/rates/rank.log").read_text()
        tables.append((project / "results/digits/sweeps/rates/points.csv").read_bytes())
    assert tables[0] == tables[1]
    assert not (project / "results/state").exists()
    assert "Nothing to be done" in snakemake(project, best).stdout
    assert "sweep rates: ok, best at learning_rate 0.1, steps 20, batch_size 100\n" in run("status", cwd=project).stdout
    assert "part-1-of-1.csv" in run("clean", "--yes", cwd=project).stdout
    assert len(list((project / "results/digits/sweeps/rates").glob("part-*"))) == 4

    (project / "config.yaml").write_text(SWEEP.replace("0.001, 0.01", "0.002, 0.01"))
    assert "sweep rates: stale" in run("status", cwd=project).stdout
    (project / "config.yaml").write_text(SWEEP.replace("  rates:", "  others:"))
    assert "sweep others: missing" in run("status", cwd=project).stdout
    assert "results/digits/sweeps/rates" in run("clean", "--yes", cwd=project).stdout
    assert not (project / "results/digits/sweeps").exists()


def test_a_variant_takes_over_what_a_sweep_found_and_runs_again_when_that_changes(tmp_path):
    project = copy_project(tmp_path / "study", TUNED)
    models = project / "results/digits/runs/tuned/seeds-0-1/models.h5"

    def finished():
        result = snakemake(project)
        assert result.returncode == 0, result.stdout
        specification, _ = read_models(models)
        return result.stdout, specification

    _, specification = finished()
    assert specification["optimizer"] == {"SGD": {"learning_rate": 0.1}}
    assert (specification["steps"], specification["batch_size"]) == (20, 100)
    tables = project / "results/digits/tables"
    sweeps = pd.read_csv(tables / "sweeps.csv")
    assert sweeps["rank"].tolist() == list(range(1, 13))
    assert sweeps["validation_loss_mean"].is_monotonic_increasing
    assert json.loads(sweeps.loc[0, "values"]) == {"learning_rate": 0.1, "steps": 20, "batch_size": 100}
    comparisons = pd.read_csv(tables / "comparisons.csv").set_index(["variant", "relation"])
    assert comparisons.loc[("tuned", "base"), ["reference", "n"]].tolist() == ["regression", 2]
    assert "Everything is there" in run("status", cwd=project).stdout

    (project / "config.yaml").write_text(TUNED.replace("0.01, 0.1]", "0.01, 0.2]"))
    printed, specification = finished()
    assert specification["optimizer"] == {"SGD": {"learning_rate": 0.2}}
    assert "started: train digits tuned seeds 0 to 1" in printed
    assert "train digits regression" not in printed
    # Another choice from a smaller grid: fewer images than 20 × 100.
    (project / "config.yaml").write_text(TUNED.replace("jobs: 1", "max_images: 1000"))
    _, specification = finished()
    assert specification["steps"] * specification["batch_size"] <= 1000
