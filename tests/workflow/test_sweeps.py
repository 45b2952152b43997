"""Sweeps in the workflow: shared among jobs, taken over by variants, and made again when they change."""

import json

import pandas as pd
import pytest
from planner import dry_run
from studies import finished

from conftest import HALVED, SWEEP, TUNED, UNTIL_TABLES, call_in, copy_project, snakemake
from mnist_hpc.cluster import node
from mnist_hpc.files import hdf5
from mnist_hpc.study.specification import Study
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
        assert (
            "at the edge of what was tried: learning_rate"
            in (project / "logs/digits/sweeps/rates/rank.log").read_text()
        )
        table = pd.read_csv(project / "results/digits/sweeps/rates/points.csv")
        tables.append(table.drop(columns=["train_seconds", "checksum"]))
    pd.testing.assert_frame_equal(*tables)
    assert not (project / "results/state").exists()
    assert "Nothing to be done" in snakemake(project, best, trains=False).stdout
    assert "sweep rates: ok, best at learning_rate 0.1, steps 20, batch_size 100\n" in call_in(project, "status").stdout
    assert "part-1-of-1.csv" in call_in(project, "clean", "--yes").stdout
    assert len(list((project / "results/digits/sweeps/rates").glob("part-*.csv"))) == 4

    # Other jobs train other parts.
    (project / "config.yaml").write_text(SWEEP.replace("jobs: 1", "jobs: 2"))
    shown = call_in(project, "status").stdout
    assert "sweep rates: stale" in shown
    assert "sweep rates: 12 points with 2 seeds, " in shown
    assert dry_run(project, best).stdout.count("rule sweep:") == 2
    study = Study.read(project / "config.yaml")
    assert set(study.sweeps["rates"].parts) <= set(node.left(study, project / "results"))

    (project / "config.yaml").write_text(SWEEP.replace("0.001, 0.01", "0.002, 0.01"))
    assert "sweep rates: stale" in call_in(project, "status").stdout
    (project / "config.yaml").write_text(SWEEP.replace("  rates:", "  others:"))
    assert "sweep others: missing" in call_in(project, "status").stdout
    assert "results/digits/sweeps/rates" in call_in(project, "clean", "--yes").stdout
    assert not (project / "results/digits/sweeps").exists()


BEST = "results/digits/sweeps/space/best.json"
# What is edited, and whether the sweep is made again.
EDITS = {
    "points: 6": ("points: 7", True),
    "0.0001, 0.1]": ("0.0001, 0.2]", True),
    "log_uniform": ("uniform", True),
    "images: 600": ("images: 700", True),
    "first: 1/3": ("first: 1/2", True),
    "fresh_seeds: 2": ("fresh_seeds: 3", True),
    "jobs: 2": ("jobs: 1", True),
    "seeds: 1\n": ("seeds: 2\n", True),
    "epochs: 3": ("epochs: 4", False),
    "learning_rate: 0.5": ("learning_rate: 0.4", False),
    "# A comment.": ("# Another.", False),
    "    jobs: 2": ("    jobs: 2\n    runtime: 7\n    mem_mb: 9000", False),
}


def test_a_space_is_halved_in_brackets_and_chosen_from_and_made_again_if_it_changes(tmp_path):
    project = copy_project(tmp_path / "study", HALVED)
    models = "results/digits/runs/tuned/seeds-0-1/models.h5"
    result = snakemake(project, models)
    assert result.returncode == 0, result.stdout
    planned = "sweep space: 6 points with 1 seed in 2 rungs, then 2 finalists with 2 seeds, 4,400 images"
    assert planned in result.stdout.split("started: ")[0]
    best = json.loads((project / BEST).read_text())
    points = pd.read_csv(project / BEST.replace("best.json", "points.csv"))

    # Two brackets of three points each; in each, one of three goes on, and is the finalist.
    for bracket in (0, 1):
        own = points[points["point"] // 3 == bracket]
        assert own.groupby("rung")["point"].nunique().tolist() == [3, 1, 1]
        first = own[own["rung"] == 1].set_index("point")["validation_loss"]
        assert own.loc[own["rung"] == 2, "point"].tolist() == [first.idxmin()]
    final = points[points["rung"] == 3].groupby("point")["validation_loss"].mean()
    assert set(points.loc[points["rung"] == 3, "seed"]) == {2_000_000, 2_000_001}
    assert best["point"] == final.idxmin()
    assert best["images"] == points["images"].sum() == 6 * 200 + 2 * 400 + 2 * 2 * 600 == 4400

    # How often each finalist wins, from the losses of each image.
    losses = {}
    for part in (1, 2):
        with hdf5.reading(project / BEST.replace("best.json", f"part-{part}-of-2.h5")) as file:
            losses |= {int(point): file[point][()] for point in file}
    assert {point: float(values.mean()) for point, values in losses.items()} == pytest.approx(final.to_dict())
    assert [finalist["point"] for finalist in best["finalists"]] == final.sort_values().index.tolist()
    assert sum(finalist["wins"] for finalist in best["finalists"]) == pytest.approx(1)
    log = (project / "logs/digits/sweeps/space/rank.log").read_text()
    assert log.count("% of resampled sweeps: ") == 2

    # The variant sees as many images as the best point.
    specification, _ = read_models(project / models)
    assert "epochs" not in specification
    assert specification["steps"] == best["values"]["steps"] == 600 // best["values"]["batch_size"]
    assert specification["optimizer"]["SGD"]["learning_rate"] == best["values"]["learning_rate"]
    assert "sweep space: ok, halved, best at learning_rate" in call_in(project, "status").stdout

    def decides(config):
        """Return what Snakemake compares: what decides the numbers of the sweep, and the parts that it asks for."""
        (project / "config.yaml").write_text(config)
        sweep = Study.read(project / "config.yaml").sweeps["space"]
        return sweep.json, sweep.parts

    before, harmless = decides(HALVED), HALVED
    for old, (new, again) in EDITS.items():
        assert HALVED.count(old) == harmless.count(old) == 1, old
        assert (decides(HALVED.replace(old, new)) != before) == again, old
        if not again:
            harmless = harmless.replace(old, new)
    # Plans of one edit, and of all that rerun nothing together.
    for config, again in ((HALVED.replace("points: 6", "points: 7"), True), (harmless, False)):
        (project / "config.yaml").write_text(config)
        planned = dry_run(project, BEST).stdout
        assert ("rule sweep:" in planned, "Nothing to be done" in planned) == (again, not again)


def test_a_variant_takes_over_what_a_sweep_found_and_runs_again_when_that_changes(tmp_path_factory, tmp_path):
    project = finished(tmp_path_factory, "tuned", tmp_path / "study")
    models = project / "results/digits/runs/tuned/seeds-0-1/models.h5"

    def run_again(*targets):
        result = snakemake(project, *targets)
        assert result.returncode == 0, result.stdout
        specification, _ = read_models(models)
        return result.stdout, specification

    specification, _ = read_models(models)
    assert specification["optimizer"] == {"SGD": {"learning_rate": 0.1}}
    assert (specification["steps"], specification["batch_size"]) == (20, 100)
    tables = project / "results/digits/tables"
    sweeps = pd.read_csv(tables / "sweeps.csv")
    assert sweeps["rank"].tolist() == list(range(1, 13))
    assert sweeps["validation_loss_mean"].is_monotonic_increasing
    assert json.loads(sweeps.loc[0, "values"]) == {"learning_rate": 0.1, "steps": 20, "batch_size": 100}
    comparisons = pd.read_csv(tables / "comparisons.csv").set_index(["variant", "relation"])
    assert comparisons.loc[("tuned", "base"), ["reference", "n"]].tolist() == ["regression", 2]
    assert "Everything is there" in call_in(project, "status").stdout

    (project / "config.yaml").write_text(TUNED.replace("0.01, 0.1]", "0.01, 0.2]"))
    printed, specification = run_again(*UNTIL_TABLES)
    assert specification["optimizer"] == {"SGD": {"learning_rate": 0.2}}
    assert "started: train digits tuned seeds 0 to 1" in printed
    assert "train digits regression" not in printed
    # Another choice from a smaller grid: fewer images than 20 × 100.
    (project / "config.yaml").write_text(TUNED.replace("jobs: 1", "max_images: 1000"))
    _, specification = run_again(models.relative_to(project))
    assert specification["steps"] * specification["batch_size"] <= 1000
