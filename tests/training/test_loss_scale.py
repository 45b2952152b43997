"""Training in float16 scales its loss as Keras' LossScaleOptimizer does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from conftest import specification

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_weights_and_scale_are_those_of_keras_with_overflows_in_between(optimizer, monkeypatch):
    from mnist_hpc.training import loss_scale

    monkeypatch.setattr(loss_scale, "GROWTH_STEPS", 3)
    random = np.random.default_rng(0)
    gradients = random.normal(size=(12, 4)).astype(np.float32)
    gradients[4, 2], gradients[5, 0], gradients[9, 1] = np.inf, np.nan, -np.inf
    made = [getattr(keras.optimizers, optimizer)(0.1) for _ in range(2)]
    weights = [keras.Variable(np.ones(4, np.float32)) for _ in range(2)]
    of_keras = keras.optimizers.LossScaleOptimizer(made[0], dynamic_growth_steps=3)
    of_keras.build([weights[0]])
    made[1].build([weights[1]])
    ours = loss_scale.LossScale()
    for gradient in gradients:
        assert ours.scaled(tf.constant(2.0)) == of_keras.scale_loss(tf.constant(2.0))
        of_keras.apply([gradient * of_keras.dynamic_scale], [weights[0]])
        scaled = tf.constant(gradient) * ours.scaled(tf.constant(1.0))
        ours.apply([scaled], lambda value: made[1].apply([value], [weights[1]]), [weights[1], *made[1].variables])
        assert np.array_equal(weights[0].numpy(), weights[1].numpy())
    assert np.isfinite(weights[1].numpy()).all()
    assert float(ours.scaled(tf.constant(1.0))) == float(of_keras.dynamic_scale) != loss_scale.INITIAL_SCALE


@pytest.mark.parametrize("whole", [False, True], ids=["plain", "XLA"])
def test_float16_learns_as_float32_does(digit_splits, whole):
    from mnist_hpc.training.engine import Engine
    from mnist_hpc.training.loop import Loop

    layers = [{"Flatten": {}}, {"Dense": {"units": 16}}, {"ReLU": {}}, {"Dense": {"units": 10}}]
    changed = specification(layers=layers, optimizer={"Adam": {"learning_rate": 0.01}}, steps=60)
    losses = {}
    for policy in ("float32", "mixed_float16"):
        loop = Loop(changed, digit_splits[0], Engine(whole=whole, update=False, dtype_policy=policy))
        loop.start(0)
        losses[policy] = loop.run(0, 60)[0]
    assert not np.array_equal(losses["float32"], losses["mixed_float16"])
    # float16 has 11 bits of precision, and a first step may be skipped.
    assert losses["mixed_float16"][-10:].mean() == pytest.approx(losses["float32"][-10:].mean(), rel=0.1)
