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
