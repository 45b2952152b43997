"""The layers of a training compute what Keras' layers of the same name do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.mark.parametrize("center", [True, False])
def test_batch_normalisation_in_training_is_that_of_keras(center):
    from mnist_hpc.training import layers

    images = np.random.default_rng(0).normal(2, 3, (8, 6, 6, 5)).astype(np.float32)
    arguments = {"momentum": 0.9, "epsilon": 0.01, "center": center, "scale": center}
    plain, fused = keras.layers.BatchNormalization(**arguments), layers.BatchNormalization(**arguments)
    outputs = [np.array(layer(images, training=True)) for layer in (plain, fused)]
    # Other orders of float32 sums.
    assert outputs[1] == pytest.approx(outputs[0], abs=1e-4)
    assert fused.moving_mean.numpy() == pytest.approx(plain.moving_mean.numpy(), abs=1e-5)
    # The unbiased variance, over 8 × 6 × 6 values, where Keras takes the biased one.
    count = 8 * 6 * 6
    of_batch = (plain.moving_variance.numpy() - 0.9) / 0.1
    assert fused.moving_variance.numpy() == pytest.approx(0.9 + 0.1 * of_batch * count / (count - 1), rel=1e-4)
    assert np.array(fused(images)) == pytest.approx(np.array(plain(images)), rel=1e-2, abs=1e-2)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"pool_size": 3},
        {"pool_size": 3, "strides": 2},
        {"pool_size": 2, "padding": "same"},
        {"pool_size": 3, "strides": 2, "padding": "same"},
        {"pool_size": 2, "strides": 3, "padding": "same"},
        {"pool_size": [1, 3], "strides": [2, 1], "padding": "same"},
    ],
    ids=str,
)
def test_max_pooling_and_its_gradient_are_those_of_keras(arguments, xla):
    from mnist_hpc.training import layers

    # Whole numbers, so that many are equal: the gradient goes to the first of them.
    images = tf.constant(np.random.default_rng(0).integers(-3, 3, (4, 7, 9, 2)).astype(np.float32))
    found = []
    for layer in (keras.layers.MaxPooling2D(**arguments), layers.MaxPooling2D(**arguments)):

        @tf.function(jit_compile=xla and isinstance(layer, layers.MaxPooling2D))
        def pooled(values, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(values)
                result = layer(values)
                weighted = tf.reduce_sum(result * tf.reshape(tf.range(tf.size(result), dtype=tf.float32), result.shape))
            return result, tape.gradient(weighted, values)

        found.append([value.numpy() for value in pooled(images)])
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [("Dropout", {"rate": 0.4}), ("SpatialDropout2D", {"rate": 0.4}), ("GaussianNoise", {"stddev": 0.3})],
)
def test_random_layers_draw_what_those_of_keras_draw_in_the_same_step(kind, arguments):
    """Keras' layers count their calls in a variable; ours are told the step."""
    from mnist_hpc.training import layers, models

    images = tf.constant(np.random.default_rng(0).random((3, 4, 4, 5)), tf.float32)
    (of_keras,) = models.fresh_layers([{kind: arguments}, {"Flatten": {}}], (4, 4, 5), seed=1)[:1]
    made = models.fresh_layers([{kind: arguments}, {"Flatten": {}}], (4, 4, 5), 1, kinds=layers.FOR_TRAINING)
    seeds = layers.own_seeds(made)
    for step in range(3):
        layers.set_seeds(made, tf.constant(seeds), tf.constant(step))
        expected = of_keras(images, training=True).numpy()
        assert np.array_equal(made[0](images, training=True), expected)
        assert not np.array_equal(images, expected)
        assert np.array_equal(made[0](images, training=False), images)
