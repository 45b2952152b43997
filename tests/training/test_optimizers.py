"""Schedules, decay and averages of the weights, as a training meets them."""

import inspect

import keras
import numpy as np
import pytest

from conftest import ROOT, specification, trainer_of

pytestmark = pytest.mark.usefixtures("tensorflow")


def rates(learning_rate, steps=100):
    from mnist_hpc.training import optimizers

    found = optimizers.schedule(learning_rate, steps)
    return [float(found(step)) for step in range(steps + 1)]


def test_one_cycle_rises_to_its_maximum_and_ends_at_nothing():
    found = rates({"OneCycle": {"maximal_learning_rate": 1, "warmup": 0.25}})
    assert found[0] == pytest.approx(1 / 25)
    assert np.diff(found[:26]) == pytest.approx((1 - 1 / 25) / 25, rel=1e-4)
    assert max(found) == found[25] == pytest.approx(1)
    assert found[100] == pytest.approx(0, abs=1e-6)
    # Half way down a cosine is half of the maximum, here between two steps.
    assert (found[62] + found[63]) / 2 == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("learning_rate", "last"),
    [
        ({"CosineDecay": {"initial_learning_rate": 0.4}}, 0.0),
        ({"CosineDecay": {"initial_learning_rate": 0.4, "alpha": 0.1}}, 0.04),
        ({"CosineDecay": {"initial_learning_rate": 0.1, "warmup_target": 0.4, "warmup_steps": 5}}, 0.0),
        ({"ExponentialDecay": {"initial_learning_rate": 0.4, "decay_rate": 0.1}}, 0.04),
    ],
)
@pytest.mark.parametrize("steps", [10, 100])
def test_a_schedule_of_keras_ends_with_the_training(learning_rate, last, steps):
    assert rates(learning_rate, steps)[-1] == pytest.approx(last, abs=1e-6)


def test_decay_steps_are_those_that_are_given():
    schedule = {"ExponentialDecay": {"initial_learning_rate": 0.4, "decay_rate": 0.5, "decay_steps": 50}}
    assert rates(schedule, 150)[-1] == pytest.approx(0.4 / 8)


def loop_of(split, **changes):
    from mnist_hpc.training.engine import choose
    from mnist_hpc.training.loop import Loop

    changed = specification(**changes)
    made = Loop(changed, split, choose(changed, 1))
    made.start(0)
    return made


def kernel_and_bias(made):
    return [variable.numpy() for variable in made.model.trainable_variables]


HIDDEN = [{"Flatten": {}}, {"Dense": {"units": 16, "activation": "relu"}}, {"Dense": {"units": 10}}]
OPTIMIZERS = {
    "SGD": {"learning_rate": 0.5, "momentum": 0.9, "nesterov": True},
    "RMSprop": {"learning_rate": 0.01, "rho": 0.8, "momentum": 0.5, "epsilon": 0.001, "centered": True},
    "Adagrad": {"learning_rate": 0.1, "initial_accumulator_value": 0.01, "epsilon": 0.001},
    "Adam": {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.01, "amsgrad": True},
    "AdamW": {"learning_rate": 0.01, "epsilon": 0.01},
}
# Small enough to limit every gradient of the first steps.
LIMITS = {"clipnorm": 0.02, "global_clipnorm": 0.03, "clipvalue": 0.001}
COMMON = [{name: value} for name, value in LIMITS.items()]
COMMON += [{"weight_decay": 0.5}, {"use_ema": True, "ema_momentum": 0.6}]
# What Keras' base class does for all of them: each with one optimiser, and several together with every one.
CASES = list(zip(OPTIMIZERS, COMMON, strict=True))
TOGETHER = {"global_clipnorm": 0.03, "weight_decay": 0.5, "use_ema": True, "ema_momentum": 0.6}
CASES += [(name, TOGETHER) for name in OPTIMIZERS]


def of_keras(split, name, arguments, steps):
    """Yield the weights after each step that Keras' own training takes with its own optimiser."""
    from mnist_hpc.training import models
    from mnist_hpc.training.batches import batch_indices

    model = models.build(HIDDEN, (28, 28, 1), seed=0)
    optimizer = getattr(keras.optimizers, name)(**arguments)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for batch in batch_indices(0, len(split.labels), 100, 0, steps):
        model.train_on_batch(split.inputs[batch][..., np.newaxis] / np.float32(255), split.labels[batch])
        live = model.get_weights()
        if optimizer.use_ema:
            optimizer.finalize_variable_values(model.trainable_variables)
        yield model.get_weights()
        model.set_weights(live)


@pytest.fixture(scope="module")
def without(digit_splits):
    """Return the weights after four steps of each optimiser without further arguments."""
    found = {}
    for name, arguments in OPTIMIZERS.items():
        plain = loop_of(digit_splits[0], layers=HIDDEN, optimizer={name: arguments}, steps=4)
        plain.run(0, 4)
        found[name] = plain.weights()
    return found


@pytest.mark.parametrize(("name", "common"), CASES, ids=["-".join([name, *common]) for name, common in CASES])
def test_every_step_is_that_of_keras_own_optimizer(digit_splits, without, name, common):
    arguments = OPTIMIZERS[name] | common
    made = loop_of(digit_splits[0], layers=HIDDEN, optimizer={name: arguments}, steps=4)
    for step, expected in enumerate(of_keras(digit_splits[0], name, arguments, 4)):
        made.run(step, step + 1)
        for found, weight in zip(made.weights().values(), expected, strict=True):
            # Other orders of the same float32 sums; limited gradients of almost nothing are steps of the usual size.
            assert found == pytest.approx(weight, rel=1e-4, abs=2e-5)
    changed = [np.abs(made.weights()[key] - value).max() for key, value in without[name].items()]
    assert max(changed) > 1e-3


@pytest.mark.parametrize("limit", LIMITS)
def test_xla_limits_gradients_as_the_plain_graph_does(digit_splits, limit):
    from mnist_hpc.training.engine import Engine
    from mnist_hpc.training.loop import Loop

    arguments = OPTIMIZERS["SGD"] | {limit: LIMITS[limit]}
    changed = specification(layers=HIDDEN, optimizer={"SGD": arguments}, steps=4)
    made = Loop(changed, digit_splits[0], Engine(whole=True, update=False, dtype_policy="float32"))
    made.start(0)
    made.run(0, 4)
    *_, expected = of_keras(digit_splits[0], "SGD", arguments, 4)
    for found, weight in zip(made.weights().values(), expected, strict=True):
        assert found == pytest.approx(weight, rel=1e-4, abs=2e-5)


# What Keras' optimisers take and a config does not, see docs/variants.md.
UNSUPPORTED = {"name", "kwargs", "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps"}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_argument_of_keras_is_supported_or_documented_as_not(name):
    from mnist_hpc.study.schema import optimizer_arguments

    known = set(inspect.signature(getattr(keras.optimizers, name).__init__).parameters) - {"self"}
    assert known - set(optimizer_arguments(name)) == UNSUPPORTED
    text = (ROOT / "docs/variants.md").read_text()
    assert all(f"`{argument}`" in text for argument in UNSUPPORTED - {"name", "kwargs"})


def test_a_schedule_decides_the_steps_that_a_training_takes(digit_splits):
    plain = loop_of(digit_splits[0], optimizer={"SGD": {"learning_rate": 0.1}}, steps=2)
    cycle = {"OneCycle": {"maximal_learning_rate": 0.1, "warmup": 0.5}}
    scheduled = loop_of(digit_splits[0], optimizer={"SGD": {"learning_rate": cycle}}, steps=2)
    for made in (plain, scheduled):
        made.run(0, 1)
    assert kernel_and_bias(scheduled)[0] == pytest.approx(kernel_and_bias(plain)[0] / 25, abs=1e-7)


def test_weight_decay_shrinks_kernels_alone(digit_splits):
    layers = [{"Flatten": {}}, {"Dense": {"units": 10, "kernel_initializer": "ones", "bias_initializer": "ones"}}]
    made = [
        loop_of(digit_splits[0], layers=layers, optimizer={"SGD": {"learning_rate": 0.5, "weight_decay": decay}})
        for decay in (0.0, 0.2)
    ]
    for one in made:
        one.run(0, 1)
    (kernel, bias), (decayed, same) = map(kernel_and_bias, made)
    # All weights begin at 1: decoupled decay takes learning rate × decay off, whatever the gradient.
    assert decayed == pytest.approx(kernel - 0.5 * 0.2, abs=1e-6)
    assert np.array_equal(bias, same)


def test_the_average_of_the_weights_is_what_is_validated_and_kept(digit_splits):
    from mnist_hpc.training import losses, models

    train, validation = digit_splits
    average = {"SGD": {"learning_rate": 0.5, "use_ema": True, "ema_momentum": 0.9}}
    made = loop_of(train, optimizer=average, steps=30)
    expected = None
    for step in range(30):
        made.run(step, step + 1)
        live = kernel_and_bias(made)[0]
        expected = live if expected is None else 0.9 * expected + 0.1 * live
    trainer = trainer_of(digit_splits, optimizer=average, steps=30)
    run, weights = trainer.train(0, print)
    assert weights["02_dense/kernel"] == pytest.approx(expected, abs=1e-5)
    assert not np.allclose(expected, live, atol=1e-3)
    plain = models.build(specification()["layers"], (28, 28, 1), seed=0)
    models.set_weights(plain, weights)
    found = losses.LOSSES["CategoricalCrossentropy"](
        losses.one_hot(validation.labels, 10), plain(models.inputs(validation.inputs))
    )
    assert float(np.mean(found)) == pytest.approx(run.facts["validation_loss"], rel=1e-5)
