"""The compiled loop: the order of the batches, and the same training however it is compiled."""

import itertools

import numpy as np
import pytest

from conftest import specification
from mnist_hpc.training import device

pytestmark = pytest.mark.usefixtures("tensorflow")

HIDDEN = [{"Flatten": {}}, {"Dense": {"units": 16}}, {"ReLU": {}}, {"Dropout": {"rate": 0.2}}, {"Dense": {"units": 10}}]
CNN = [{"Conv2D": {"filters": 4, "kernel_size": 3}}, {"ReLU": {}}, {"Flatten": {}}, {"Dense": {"units": 10}}]


def test_every_image_is_seen_once_an_epoch_in_an_order_of_its_own():
    from mnist_hpc.training import loop

    stream = loop.batch_indices(0, 10, 4, 0, 5).ravel()
    assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))
    assert list(stream[:10]) != list(stream[10:])
    assert not np.array_equal(stream, loop.batch_indices(1, 10, 4, 0, 5).ravel())


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_batches_do_not_depend_on_where_the_loop_is_cut(cut):
    from mnist_hpc.training import loop

    whole = loop.batch_indices(3, 10, 4, 0, 8)
    parts = [loop.batch_indices(3, 10, 4, 0, cut), loop.batch_indices(3, 10, 4, cut, 8)]
    assert np.array_equal(np.concatenate(parts), whole)


def trained(split, layers, steps, calls, engine):
    """Return weights and losses after some steps, done in several calls."""
    from mnist_hpc.training import loop, models

    changed = specification(layers=layers, optimizer={"Adam": {"learning_rate": 0.01}}, steps=steps)
    made = loop.Loop(
        changed, split, loop.Engine(**{"whole": False, "update": False, "dtype_policy": "float32"} | engine)
    )
    made.start(0)
    edges = np.linspace(0, steps, calls + 1).astype(int)
    losses = [made.run(0, first, last)[0] for first, last in itertools.pairwise(edges)]
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
    weights, losses = trained(digit_splits[0], layers, 20, 1, engine)
    others, parts = trained(digit_splits[0], layers, 20, 7, engine)
    assert np.array_equal(losses, parts)
    assert all(np.array_equal(weight, others[name]) for name, weight in weights.items())


def test_bfloat16_keeps_the_weights_in_float32_and_learns_as_well(digit_splits):
    weights, losses = trained(digit_splits[0], HIDDEN, 60, 1, {"dtype_policy": "mixed_bfloat16"})
    _, plain = trained(digit_splits[0], HIDDEN, 60, 1, {})
    assert {weight.dtype for weight in weights.values()} == {np.dtype(np.float32)}
    assert not np.array_equal(losses, plain)
    # bfloat16 has 8 bits of precision.
    assert losses[-10:].mean() == pytest.approx(plain[-10:].mean(), rel=0.05)


def test_bfloat16_holds_where_the_device_has_it(monkeypatch):
    from mnist_hpc.training import loop

    wanted = specification(layers=CNN, dtype_policy="mixed_bfloat16")
    for there, policy in ((True, "mixed_bfloat16"), (False, "float32")):
        monkeypatch.setattr(device, "computes_in_bfloat16", lambda there=there: there)
        assert loop.choose(wanted, threads=2).dtype_policy == policy
    assert loop.choose(specification(layers=CNN), threads=2).dtype_policy == "float32"
