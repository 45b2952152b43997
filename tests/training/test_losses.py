"""The two losses of the lecture, against values computed by hand."""

import math

import numpy as np
import pytest

from conftest import trainer_of

pytestmark = pytest.mark.usefixtures("tensorflow")

LOW, HIGH = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))


def values(name, labels, logits, **arguments):
    import tensorflow as tf

    from mnist_hpc.training import losses

    return losses.smoothed(name, arguments)(tf.constant(labels), tf.constant(logits)).numpy()


def test_cross_entropy_is_in_nats_per_image():
    found = values("CategoricalCrossentropy", [[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [2.0, 0.0]])
    assert found == pytest.approx([LOW, HIGH], rel=1e-5)


def test_squared_error_is_half_the_sum_over_classes():
    found = values("SquaredError", [[1.0, 0.0, 0.0]], [[0.0, 0.0, 100.0]])
    assert found == pytest.approx([0.5 * (0.25 + 0.25 + 1)], rel=1e-5)


def test_outputs_are_probabilities_or_sigmoids():
    import tensorflow as tf

    from mnist_hpc.training import losses

    logits = tf.constant([[2.0, 0.0]])
    assert np.array(losses.OUTPUTS["CategoricalCrossentropy"](logits))[0] == pytest.approx(np.exp([-LOW, -HIGH]))
    assert np.array(losses.OUTPUTS["SquaredError"](logits))[0] == pytest.approx([np.exp(-LOW), 0.5])


def test_label_smoothing_is_in_the_training_loss_alone(digit_splits):
    found = values("CategoricalCrossentropy", [[1.0, 0.0]], [[2.0, 0.0]], label_smoothing=0.2)
    assert found == pytest.approx([0.9 * LOW + 0.1 * HIGH], rel=1e-5)
    trainer = trainer_of(digit_splits, loss={"CategoricalCrossentropy": {"label_smoothing": 0.2}})
    trainer.loop.start(0)
    assert trainer.loop.validate(digit_splits[0])[0] == pytest.approx(math.log(10), rel=1e-5)
