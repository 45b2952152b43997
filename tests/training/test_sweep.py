"""Sweeps: each point is the variant trained alone, however points are packed, cut off or shared among jobs."""

import json

import numpy as np
import pandas as pd
import pytest

from conftest import SWEEP, TUNED, copy_project, run, snakemake, specification
from mnist_hpc.files import csv_table
from mnist_hpc.study import grids
from mnist_hpc.tables import ranking, aggregate
from mnist_hpc.errors import Interrupted, UserError
from mnist_hpc.study.specification import Study

HIDDEN = [{"Flatten": {}}, {"Dense": {"units": 16, "activation": "relu"}}, {"Dense": {"units": 10}}]
NOISY = [
    {"Dropout": {"rate": 0.1}},
    {"Flatten": {}},
    {"Dense": {"units": 12}},
    {"GaussianNoise": {"stddev": 0.5}},
    {"ReLU": {}},
    {"Dropout": {"rate": 0.5}},
    {"Dense": {"units": 8, "activation": "tanh", "use_bias": False}},
    {"Dense": {"units": 10}},
]
CNN = [{"Conv2D": {"filters": 2, "kernel_size": 5}}, {"Flatten": {}}, {"Dense": {"units": 10}}]
RATES = [0.1, 0.3]


def trained(splits, folder, points, seeds=2, memory=10**9, **options):
    """Return validation loss and accuracy by values and seed."""
    from mnist_hpc.training import sweep

    found = sweep.units(points, seeds, (28, 28, 1), memory)
    rows = sweep.train(found, *splits, folder, lambda _: None, options.pop("stop", lambda: False), **options)
    assert len(rows) == len(points) * seeds
    return {(*row["of"].values.values(), row["seed"]): row for row in rows}


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("changes", "grid"),
    [
        ({}, {"learning_rate": RATES, "steps": [30, 60], "batch_size": [20, 100]}),
        ({"layers": HIDDEN}, {"learning_rate": RATES, "momentum": [0.0, 0.9], "width": [4, 8]}),
        ({"layers": HIDDEN, "optimizer": {"SGD": {"nesterov": True}}}, {"momentum": [0.5, 0.9], "l2": [0.0, 0.01]}),
        ({"layers": HIDDEN, "optimizer": {"Adam": {}}}, {"learning_rate": [0.001, 0.01], "initial_scale": [0.1, 1.0]}),
        ({"layers": NOISY, "optimizer": {"RMSprop": {}}}, {"learning_rate": [0.001, 0.01], "epochs": [2, 4]}),
        ({"layers": HIDDEN, "optimizer": {"RMSprop": {"learning_rate": 0.001}}}, {"momentum": [0, 0.9]}),
        ({"layers": HIDDEN, "optimizer": {"AdamW": {}}}, {"learning_rate": [0.001, 0.01]}),
        ({"layers": CNN}, {"learning_rate": [0.01, 0.1], "steps": [7, 20]}),
    ],
    ids=["regression", "width", "nesterov", "adam", "noisy", "momenta apart", "not packed: adamw", "not packed: cnn"],
)
def test_each_point_equals_the_variant_trained_alone(digit_splits, tmp_path, changes, grid):
    from mnist_hpc.training import trainer

    points = grids.points(specification(**changes), grid)
    rows = trained(digit_splits, tmp_path, points)
    for point in points:
        trainer = trainer.Trainer(point.specification, *digit_splits, threads=1)
        for seed in (0, 1):
            model, _ = trainer.train(seed, lambda _: None)
            row = rows[(*point.values.values(), seed)]
            assert row["status"] == "ok"
            assert row["steps"] == trainer.steps
            # Other orders of the same float32 sums, over all the steps.
            assert row["validation_loss"] == pytest.approx(model.facts["validation_loss"], rel=2e-3)
            assert row["validation_accuracy"] == pytest.approx(model.facts["validation_accuracy"], abs=0.012)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("layers", [HIDDEN, NOISY, CNN], ids=["hidden", "noisy", "cnn"])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_an_interrupted_sweep_ends_in_the_same_numbers(digit_splits, tmp_path, layers, optimizer):
    changed = specification(layers=layers, optimizer={optimizer: {"learning_rate": 0.01}})
    points = grids.points(changed, {"learning_rate": [0.001, 0.01], "steps": [20, 60]})
    whole = trained(digit_splits, tmp_path / "whole", points)
    interruptions = 0
    for _ in range(100):
        answers = iter([False, True])  # a little progress each time
        try:
            parts = trained(digit_splits, tmp_path / "parts", points, stop=lambda a=answers: next(a, True))
            break
        except Interrupted:
            interruptions += 1
    assert interruptions > 2
    for key, row in whole.items():
        assert {**row, "of": None} == {**parts[key], "of": None}


@pytest.mark.usefixtures("tensorflow")
def test_a_sweep_is_cut_into_packs_that_fit_the_memory():
    from mnist_hpc.training import packs, sweep

    points = grids.points(specification(), {"learning_rate": np.linspace(0.01, 1, 64).tolist(), "steps": [10, 20]})
    (pack,) = sweep.units(points, 1, (28, 28, 1), 10**9)
    assert len(pack.settings) == 64
    one = packs.bytes_a_setting(specification(), (28, 28, 1))
    sizes = [len(unit.settings) for unit in sweep.units(points, 1, (28, 28, 1), 10 * one)]
    assert sum(sizes) == 64
    assert max(sizes) <= 10
    assert len(sweep.units(points, 1, (28, 28, 1), 1)) == 64


@pytest.mark.usefixtures("tensorflow")
def test_a_point_that_explodes_fails_alone(digit_splits, tmp_path):
    squared = specification(layers=HIDDEN, optimizer={"SGD": {"momentum": 0.9}})
    rows = trained(digit_splits, tmp_path, grids.points(squared, {"learning_rate": [0.1, 1e9]}), seeds=1)
    assert rows[0.1, 0]["status"] == "ok"
    assert rows[1e9, 0]["status"] == "failed"
    alone = trained(digit_splits, tmp_path / "alone", grids.points(squared, {"learning_rate": [0.1]}), seeds=1)
    assert rows[0.1, 0]["validation_loss"] == pytest.approx(alone[0.1, 0]["validation_loss"], rel=2e-3)


@pytest.mark.usefixtures("tensorflow")
def test_a_damaged_checkpoint_is_reported_and_its_pack_trained_anew(digit_splits, tmp_path):
    points = grids.points(specification(), {"learning_rate": RATES})
    whole = trained(digit_splits, tmp_path, points, seeds=1)
    (saved,) = tmp_path.glob("*.h5")
    saved.write_bytes(b"damaged")
    assert trained(digit_splits, tmp_path, points, seeds=1).keys() == whole.keys()


def row(point, seed, loss, status="ok"):
    return {"point": point, "seed": seed, "status": status, "validation_loss": loss, "validation_accuracy": 0.5}


def test_points_rank_by_mean_validation_loss_and_those_with_a_failed_seed_last():
    rows = [row(0, 0, 0.5), row(0, 1, 0.3), row(1, 0, 0.1), row(1, 1, "", "failed"), row(2, 0, 0.2), row(2, 1, 0.4)]
    assert [found["point"] for found in ranking.rank(rows)] == [2, 0, 1]
    assert ranking.rank(rows)[0]["validation_loss_mean"] == pytest.approx(0.3)


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


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ("{learning_rat: [1]}", "sweeps.rates.grid: found 'learning_rat', expected one of optimizer, batch_size, "),
        ("{learning_rate: [-1]}", "optimizer.SGD.learning_rate: found -1 (a whole number), expected more than 0"),
        ("{batch_size: [2000]}", "found 2000, expected at most the 1257 training examples of digits"),
        ("{width: [10]}", "sweeps.rates.grid.width: regression has no Dense layer but the last"),
        ("{steps: [10], epochs: [1]}", "sweeps.rates.grid: found both steps and epochs"),
        ("{optimizer: [Sgd]}", "sweeps.rates.grid: optimizer: found the unknown key 'Sgd', expected one of SGD, "),
        ("{optimizer: [SGD, Adam], momentum: [0.5]}", "sweeps.rates.grid: found 'momentum', expected one of"),
        ("{}", "sweeps.rates.grid: found nothing"),
        ("{steps: []}", "sweeps.rates.grid.steps: found []"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(tmp_path, grid, said):
    from mnist_hpc.study.specification import Study

    path = tmp_path / "config.yaml"
    path.write_text(SWEEP.replace("{learning_rate: [0.001, 0.01, 0.1], steps: [10, 20], batch_size: [20, 100]}", grid))
    with pytest.raises(UserError) as caught:
        Study(path)
    assert said in str(caught.value)


def test_a_variant_takes_over_what_a_sweep_found_and_runs_again_when_that_changes(tmp_path):
    from mnist_hpc.training.models_file import read_models

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


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("from_sweep: rates", "from_sweep: rate", "variants.tuned.from_sweep: found 'rate', expected rates (did you"),
        ("variant: regression", "variant: tuned", "sweeps.rates.variant: tuned waits for a sweep itself"),
        ("jobs: 1", "max_images: 100", "sweeps.rates.max_images: found 100, expected 200 or more"),
        ("from_sweep: rates", "from_sweep: rates\n    dataset: circle", "variants.tuned"),
    ],
)
def test_a_variant_that_cannot_take_over_is_refused(tmp_path, old, new, said):
    from mnist_hpc.study.specification import Study

    path = tmp_path / "config.yaml"
    path.write_text(TUNED.replace(old, new))
    with pytest.raises(UserError) as caught:
        Study(path)
    assert said in str(caught.value)


def test_optimisers_are_values_of_a_grid_and_come_before_their_arguments():
    grid = {"learning_rate": [0.1], "optimizer": ["Adam", {"SGD": {"momentum": 0.9}}]}
    found = grids.points(specification(), grid)
    assert [point.specification["optimizer"] for point in found] == [
        {"Adam": {"learning_rate": 0.1}},
        {"SGD": {"momentum": 0.9, "learning_rate": 0.1}},
    ]
    assert [grids.text(point.values["optimizer"]) for point in found] == ["Adam", '{"SGD": {"momentum": 0.9}}']


def test_a_number_for_a_scheduled_rate_is_its_highest():
    cycle = {"OneCycle": {"maximal_learning_rate": 1.0, "warmup": 0.1}}
    changed = grids.with_value(specification(optimizer={"Adam": {"learning_rate": cycle}}), "learning_rate", 0.5)
    assert changed["optimizer"]["Adam"]["learning_rate"] == {"OneCycle": {"maximal_learning_rate": 0.5, "warmup": 0.1}}


def test_a_schedule_is_not_read_off_a_longer_one(digit_splits, tmp_path):
    """Half of the way down a cosine is no training of half the length."""
    from mnist_hpc.training import sweep

    base = specification(optimizer={"SGD": {"learning_rate": {"CosineDecay": {"initial_learning_rate": 0.5}}}})
    points = grids.points(base, {"steps": [10, 20]})
    found = sweep.units(points, 1, (28, 28, 1), 10**9)
    assert [len(unit.settings[0]) for unit in found] == [1, 1]
    rows = sweep.train(found, *digit_splits, tmp_path, print, lambda: False)
    alone = sweep.train(
        sweep.units(points[:1], 1, (28, 28, 1), 10**9), *digit_splits, tmp_path / "alone", print, lambda: False
    )
    assert rows[0]["validation_loss"] == pytest.approx(alone[0]["validation_loss"], rel=1e-5)


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_damaged_choice_is_named(tmp_path, text):
    best = tmp_path / "best.json"
    best.write_text(text)
    with pytest.raises(UserError, match=r"best\.json: .*; delete the file and run the workflow again"):
        ranking.resolve(specification(), best)


def test_points_and_choice_that_were_changed_by_hand_are_refused(tmp_path):
    (tmp_path / "config.yaml").write_text(TUNED)
    study = Study(tmp_path / "config.yaml")
    sweep = study.sweeps["rates"]
    folder = tmp_path / "results" / sweep.folder
    points, best = folder / "points.csv", folder / "best.json"
    keys = {"dataset": "digits", "sweep": "rates", "variant": "regression", "seed": 0, "status": "ok"}
    losses = [{"point": point, "validation_loss": 1 - point / 10, "validation_accuracy": 0.5} for point in range(3)]
    csv_table.write(points, ranking.columns(list(sweep.grid)), [keys | row for row in losses])
    ranking.choose([points], points, best, sweep.grid)
    assert aggregate.identities(study, tmp_path / "results")["tuned"]["spec_hash"] != "unknown"
    best.write_text(best.read_text().replace("0.001", "0.1"))
    with pytest.raises(UserError, match=r"best\.json: it was changed after it had been written; delete the file"):
        aggregate.resolved(study, "tuned", tmp_path / "results")
    assert aggregate.identities(study, tmp_path / "results")["tuned"]["spec_hash"] == "unknown"
    points.write_text(points.read_text().replace("0.8", "0.7"))
    with pytest.raises(UserError, match=r"points\.csv: it was changed after it had been written; delete the file"):
        aggregate.sweeps(study, tmp_path / "results")
