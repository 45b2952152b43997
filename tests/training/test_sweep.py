"""Sweeps: each point is the variant trained alone, however points are packed or cut off."""

import numpy as np
import pytest
import yaml
from nets import CNN, HIDDEN, NOISY

from conftest import of_keras, specification, trainer_of
from mnist_hpc.errors import Interrupted
from mnist_hpc.study import grids
from mnist_hpc.study.schema import SCHEMA
from mnist_hpc.training import device

pytestmark = pytest.mark.usefixtures("tensorflow")

RATES = [0.1, 0.3]


def quiet(_):
    pass


def trained(splits, folder, points, seeds=2, memory=10**9, report=quiet, stop=lambda: False):
    """Return the rows of a sweep by point and seed."""
    from mnist_hpc.training import packing, sweep

    packs = packing.packs(points, range(grids.FIRST_SEED, grids.FIRST_SEED + seeds), (28, 28, 1), memory)
    rows = sweep.train_packs(packs, sweep.Trainings(*splits, folder, report, stop))
    assert len(rows) == len(points) * seeds
    return {(row["point"], row["seed"] - grids.FIRST_SEED): row for row in rows}


def measured(rows):
    """Return what rows of a sweep say of its points, without times."""
    names = ("status", "steps", "train_loss", "validation_loss", "validation_accuracy")
    return {key: [row[name] for name in names] for key, row in rows.items()}


@pytest.mark.parametrize(
    ("changes", "grid"),
    [
        ({}, {"learning_rate": RATES, "steps": [30, 60], "batch_size": [20, 100]}),
        ({"layers": HIDDEN}, {"learning_rate": RATES, "momentum": [0.0, 0.9], "width": [4, 8]}),
        ({"layers": HIDDEN, "optimizer": {"SGD": {"nesterov": True}}}, {"momentum": [0.5, 0.9], "l2": [0.0, 0.01]}),
        ({"layers": HIDDEN, "optimizer": {"Adam": {}}}, {"learning_rate": [0.001, 0.01], "initial_scale": [0.1, 1.0]}),
        ({"layers": NOISY, "optimizer": {"RMSprop": {}}}, {"learning_rate": [0.001, 0.01], "epochs": [2, 4]}),
        ({"layers": HIDDEN, "optimizer": {"RMSprop": {"learning_rate": 0.001}}}, {"momentum": [0, 0.9]}),
        (
            {"layers": HIDDEN, "optimizer": {"RMSprop": {"rho": 0.8, "epsilon": 0.01, "centered": True}}},
            {"learning_rate": [0.001, 0.01]},
        ),
        (
            {"layers": HIDDEN, "optimizer": {"Adagrad": {"initial_accumulator_value": 0.01, "epsilon": 0.01}}},
            {"learning_rate": [0.01, 0.1]},
        ),
        (
            {"layers": HIDDEN, "optimizer": {"Adam": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "amsgrad": True}}},
            {"learning_rate": [0.001, 0.01]},
        ),
        ({"layers": HIDDEN, "optimizer": {"SGD": {"learning_rate": 0.3}}}, {"global_clipnorm": [0.01, 0.1]}),
        ({"layers": CNN}, {"learning_rate": [0.01, 0.1], "steps": [7, 20]}),
    ],
    ids=[
        "regression",
        "width",
        "nesterov",
        "adam",
        "noisy",
        "momenta apart",
        "rmsprop",
        "adagrad",
        "amsgrad",
        "not packed: limits",
        "not packed: cnn",
    ],
)
def test_each_point_equals_the_variant_trained_alone(digit_splits, tmp_path, changes, grid):
    points = grids.points(specification(**changes), grid)
    rows = trained(digit_splits, tmp_path, points)
    assert len(points) > 1
    for point, seeds in ((points[0], [0]), (points[len(points) // 2], [1]), (points[-1], [0, 1])):
        trainer = trainer_of(digit_splits, **{"steps": None} | point.specification)
        for seed in seeds:
            run, _ = trainer.train(grids.FIRST_SEED + seed, quiet)
            row = rows[point.place, seed]
            assert {key: row[key] for key in grid} == {key: grids.text(value) for key, value in point.values.items()}
            assert row["status"] == "ok"
            assert row["steps"] == run.steps
            # Other orders of the same float32 sums, over all the steps.
            assert row["validation_loss"] == pytest.approx(run.facts["validation_loss"], rel=2e-3)
            assert row["validation_accuracy"] == pytest.approx(run.facts["validation_accuracy"], abs=0.012)


@pytest.mark.parametrize(
    ("layers", "optimizer"), [(HIDDEN, "SGD"), (NOISY, "Adam"), (CNN, "Adam")], ids=["hidden", "noisy", "cnn"]
)
def test_an_interrupted_sweep_ends_in_the_same_numbers(digit_splits, tmp_path, layers, optimizer):
    changed = specification(layers=layers, optimizer={optimizer: {"learning_rate": 0.01}})
    points = grids.points(changed, {"learning_rate": [0.001, 0.01], "steps": [10, 30]})
    whole = trained(digit_splits, tmp_path / "whole", points, seeds=1)
    interruptions = 0
    while True:
        answers = iter([False] * 9)  # some progress each time
        try:
            parts = trained(digit_splits, tmp_path / "parts", points, seeds=1, stop=lambda a=answers: next(a, True))
            break
        except Interrupted:
            interruptions += 1
    assert interruptions > 1
    assert measured(parts) == measured(whole)


def test_a_pack_that_is_compiled_as_for_a_gpu_trains_as_well(digit_splits, tmp_path, monkeypatch):
    changed = specification(layers=HIDDEN, optimizer={"SGD": {"learning_rate": 0.1}})
    points = grids.points(changed, {"learning_rate": RATES, "momentum": [0.0, 0.9], "l2": [0.0, 0.01]})
    plain = trained(digit_splits, tmp_path / "plain", points, seeds=1)
    monkeypatch.setattr(device, "has_gpu", lambda: True)
    compiled = trained(digit_splits, tmp_path / "compiled", points, seeds=1)
    for key, row in compiled.items():
        # Other orders of the same float32 sums, over all the steps.
        assert row["validation_loss"] == pytest.approx(plain[key]["validation_loss"], rel=2e-3)


def test_a_point_that_explodes_fails_alone(digit_splits, tmp_path):
    squared = specification(layers=HIDDEN, optimizer={"SGD": {"momentum": 0.9}})
    rows = trained(digit_splits, tmp_path, grids.points(squared, {"learning_rate": [0.1, 1e9]}), seeds=1)
    assert rows[0, 0]["status"] == "ok"
    assert rows[1, 0]["status"] == "failed"
    alone = trained(digit_splits, tmp_path / "alone", grids.points(squared, {"learning_rate": [0.1]}), seeds=1)
    assert rows[0, 0]["validation_loss"] == pytest.approx(alone[0, 0]["validation_loss"], rel=2e-3)


def test_a_sweep_shares_no_seed_with_a_variant(digit_splits, tmp_path):
    """Seed 0 of both: other batches, and so another validation loss, though the weights begin at zero."""
    rows = trained(digit_splits, tmp_path, grids.points(specification(), {"learning_rate": [0.5]}))
    trainer = trainer_of(digit_splits)
    losses = [trainer.train(seed, quiet)[0].facts["validation_loss"] for seed in (0, 1)]
    losses += [rows[0, seed]["validation_loss"] for seed in (0, 1)]
    assert np.abs(np.subtract.outer(losses, losses))[~np.eye(4, dtype=bool)].min() > 1e-4
    # Whatever the config says: its seeds end below.
    keys = yaml.safe_load(SCHEMA.read_text())
    limits = [keys["properties"]["seeds"]["maximum"]]
    limits += [keys["$defs"][kind]["properties"]["seeds"]["maximum"] for kind in ("variant", "sweep")]
    assert max(limits) <= grids.FIRST_SEED


@pytest.mark.parametrize("layers", [HIDDEN, CNN], ids=["packed", "each alone"])
@pytest.mark.parametrize("steps", [1, 12])
def test_a_point_that_diverges_in_its_last_step_fails_alone(digit_splits, tmp_path, layers, steps):
    points = grids.points(
        specification(layers=layers, optimizer={"SGD": {"learning_rate": 0.01}}, steps=steps),
        {"learning_rate": [0.01, 1e6, 1e25]},
    )
    # In one step, the loss of the batch is that of the initial weights: finite and small.
    rows = trained(digit_splits, tmp_path, points, seeds=1)
    assert [rows[place, 0]["status"] for place in range(3)] == ["ok", "failed", "failed"]
    assert "validation_loss" not in rows[1, 0]


def test_a_weight_of_one_setting_that_is_not_finite_fails_that_setting(digit_splits):
    """The net still answers: a unit whose bias is minus infinity is a unit that is off."""
    from mnist_hpc.training.packed_loop import PackedLoop

    loop = PackedLoop([specification(layers=HIDDEN, l2=decay) for decay in (0.0, 0.1)], digit_splits[0])
    for kind, weight in loop.variables():
        if kind.startswith("0/"):
            loop.start(0)
            value = weight.numpy()
            value[(-1,) * value.ndim] = -np.inf  # of the second setting, in the layout [inputs, 2 × units] or [2, ...]
            weight.assign(value)
            assert loop.finite().tolist() == [True, False], kind


def test_what_is_chosen_by_is_computed_in_float32(digit_splits):
    from mnist_hpc.training.engine import Engine
    from mnist_hpc.training.loop import Loop
    from mnist_hpc.training.trainer import Trainer

    changed = specification(layers=CNN, optimizer={"Adam": {"learning_rate": 0.01}}, steps=12)
    engine = Engine(whole=False, update=False, dtype_policy="mixed_bfloat16")
    trainer = Trainer(Loop(changed, digit_splits[0], engine), digit_splits[1], [6, 12])
    run, weights = trainer.train(0, quiet)
    assert run.rows[-1]["validation_loss"][0] == pytest.approx(of_keras(CNN, weights, digit_splits[1])[0], rel=1e-6)
    stopped = Trainer(Loop({**changed, "steps": 6}, digit_splits[0], engine), digit_splits[1])
    _, weights = stopped.train(0, quiet)
    assert run.rows[0]["validation_loss"][0] == pytest.approx(of_keras(CNN, weights, digit_splits[1])[0], rel=1e-6)


def test_a_damaged_checkpoint_is_reported_and_its_pack_trained_anew(digit_splits, tmp_path):
    points = grids.points(specification(), {"learning_rate": RATES})
    whole = trained(digit_splits, tmp_path, points, seeds=1)
    (saved,) = tmp_path.glob("*/*.h5")
    saved.write_bytes(b"damaged")
    lines = []
    again = trained(digit_splits, tmp_path, points, seeds=1, report=lines.append)
    assert lines[0].startswith("pack 1 of 1, warning: damaged checkpoint ignored, starting over")
    assert measured(again) == measured(whole)


def test_on_another_kind_of_device_a_pack_is_trained_again_and_both_checkpoints_stay(digit_splits, tmp_path):
    from mnist_hpc.training import packing, sweep

    points = grids.points(specification(), {"learning_rate": RATES, "batch_size": [20, 100]})
    packs = packing.packs(points, [grids.FIRST_SEED], (28, 28, 1), 10**9)
    lines = {}
    for threads in (1, 2, 1):
        lines[threads] = []
        sweep.train_packs(
            packs, sweep.Trainings(*digit_splits, tmp_path, lines[threads].append, lambda: False, threads)
        )
    one, two = sorted(path.name for path in tmp_path.iterdir())
    assert ("threads-1" in one, "threads-2" in two) == (True, True)
    assert [line for line in lines[2] if "starts over" in line] == [
        f"pack {number} of 2 starts over on {two}: the checkpoint of {one} stays" for number in (1, 2)
    ]
    assert lines[1] == []  # back where it was finished
    assert len(list(tmp_path.glob("*/*.h5"))) == 4


def test_a_finished_pack_is_not_trained_again(digit_splits, tmp_path):
    points = grids.points(specification(), {"learning_rate": RATES, "batch_size": [20, 100]})
    whole = trained(digit_splits, tmp_path, points, seeds=1)
    lines = []
    again = trained(digit_splits, tmp_path, points, seeds=1, report=lines.append)
    assert measured(again) == measured(whole)
    assert lines == []
