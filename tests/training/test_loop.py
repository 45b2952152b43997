"""The compiled loop: the same training however it is compiled."""

import itertools

import numpy as np
import pytest

from conftest import specification, trainer_of
from mnist_hpc.data.splits import Split

pytestmark = pytest.mark.usefixtures("tensorflow")

HIDDEN = [{"Flatten": {}}, {"Dense": {"units": 16}}, {"ReLU": {}}, {"Dropout": {"rate": 0.2}}, {"Dense": {"units": 10}}]
CNN = [{"Conv2D": {"filters": 4, "kernel_size": 3}}, {"ReLU": {}}, {"Flatten": {}}, {"Dense": {"units": 10}}]


def trained(split, layers, steps, calls, engine):
    """Return weights and losses after some steps, done in several calls."""
    from mnist_hpc.training import models
    from mnist_hpc.training.engine import Engine
    from mnist_hpc.training.loop import Loop

    changed = specification(layers=layers, optimizer={"Adam": {"learning_rate": 0.01}}, steps=steps)
    made = Loop(changed, split, Engine(**{"whole": False, "update": False, "dtype_policy": "float32"} | engine))
    made.start(0)
    edges = np.linspace(0, steps, calls + 1).astype(int)
    losses = [made.run(first, last)[0] for first, last in itertools.pairwise(edges)]
    return models.weights(made.model), np.concatenate(losses)


@pytest.mark.parametrize("layers", [HIDDEN, CNN], ids=["hidden", "cnn"])
@pytest.mark.parametrize("engine", [{"whole": True}, {"update": True}], ids=["whole", "update"])
def test_xla_trains_as_the_plain_graph_does(digit_splits, layers, engine, monkeypatch):
    from mnist_hpc.training import loop

    monkeypatch.setattr(loop, "MANY_WEIGHTS", 1)
    layers = [layer for layer in layers if "Dropout" not in layer]  # XLA draws other random numbers
    weights, losses = trained(digit_splits[0], layers, 30, 1, engine)
    others, plain = trained(digit_splits[0], layers, 30, 1, {})
    assert len(losses) == 30
    # Other orders of the same float32 sums, over all the steps.
    assert losses == pytest.approx(plain, rel=1e-3, abs=1e-4)
    for name, weight in weights.items():
        assert weight == pytest.approx(others[name], abs=2e-3)


@pytest.mark.parametrize("layers", [HIDDEN, CNN], ids=["hidden", "cnn"])
@pytest.mark.parametrize("engine", [{"whole": True}, {"update": True}, {"dtype_policy": "mixed_bfloat16"}])
def test_bits_do_not_depend_on_how_many_steps_a_call_does(digit_splits, layers, engine):
    weights, losses = trained(digit_splits[0], layers, 12, 1, engine)
    others, parts = trained(digit_splits[0], layers, 12, 5, engine)
    assert np.array_equal(losses, parts)
    assert all(np.array_equal(weight, others[name]) for name, weight in weights.items())


def test_the_weights_are_restored_if_a_validation_with_their_average_fails(digit_splits):
    from mnist_hpc.training import models

    optimizer = {"Adam": {"learning_rate": 0.01, "use_ema": True}}
    loop = trainer_of(digit_splits, layers=HIDDEN, optimizer=optimizer).loop
    loop.start(0)
    loop.run(0, 5)
    before = models.weights(loop.model)
    train, _ = digit_splits
    with pytest.raises(Exception, match=r"shape|rank|compatible"):
        loop.validate(Split(train.inputs[:, :5], train.labels))
    after = models.weights(loop.model)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    averaged = loop.weights()
    assert any(not np.array_equal(before[name], averaged[name]) for name in before)


def test_bfloat16_keeps_the_weights_in_float32_and_learns_as_well(digit_splits):
    weights, losses = trained(digit_splits[0], HIDDEN, 60, 1, {"dtype_policy": "mixed_bfloat16"})
    _, plain = trained(digit_splits[0], HIDDEN, 60, 1, {})
    assert {weight.dtype for weight in weights.values()} == {np.dtype(np.float32)}
    assert not np.array_equal(losses, plain)
    # bfloat16 has 8 bits of precision.
    assert losses[-10:].mean() == pytest.approx(plain[-10:].mean(), rel=0.05)
