"""Layers for training, in place of Keras' own of the same name: faster, or correct on a GPU.

What they compute is the same; a .keras file could not hold them.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf


class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer for training on images, as one TensorFlow operation instead of a dozen: several times faster.

    The running variance is unbiased (N - 1 in the denominator), unlike that of Keras.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:  # noqa: FBT001
        """Normalise; float32 or bfloat16 (batch, rows, columns, channels)."""
        if not training or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        scale = self.gamma.value if self.scale else tf.ones([channels])
        offset = self.beta.value if self.center else tf.zeros([channels])
        result, mean, variance = tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=self.epsilon)
        for running, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            running.assign(running * self.momentum + value * (1 - self.momentum))
        return result


class MaxPooling2D(keras.layers.MaxPooling2D):
    """Keras' layer by comparisons of shifted images, whose gradient XLA can compute, unlike that of Keras' layer.

    Of equal values the first one gets the gradient, as in Keras' layer.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Pool (batch, rows, columns, channels)."""
        _, *size, _ = self.compute_output_shape(inputs.shape)
        if self.padding == "same":
            lacking = [
                max((count - 1) * stride + pool - length, 0)
                for count, stride, pool, length in zip(
                    size, self.strides, self.pool_size, inputs.shape[1:3], strict=True
                )
            ]
            borders = [[0, 0], *([many // 2, many - many // 2] for many in lacking), [0, 0]]
            inputs = tf.pad(inputs, borders, constant_values=inputs.dtype.min)
        down, right = self.strides
        result = None
        for row in range(self.pool_size[0]):
            for column in range(self.pool_size[1]):
                rows = slice(row, row + (size[0] - 1) * down + 1, down)
                shifted = inputs[:, rows, column : column + (size[1] - 1) * right + 1 : right]
                # Of equal values, tf.maximum gives the gradient to its first argument.
                result = shifted if result is None else tf.maximum(result, shifted)
        return result


class Dropout(keras.layers.Dropout):
    """Keras' layer with random numbers from ``seed_in_step``."""

    seed_in_step: tf.Tensor | None = None  # see ``set_seeds``

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:  # noqa: FBT001, FBT002
        """Drop values at random while training."""
        return _dropout(inputs, self) if training else inputs


class SpatialDropout2D(keras.layers.SpatialDropout2D):
    """Keras' layer with random numbers from ``seed_in_step``."""

    seed_in_step: tf.Tensor | None = None  # see ``set_seeds``

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:  # noqa: FBT001, FBT002
        """Drop whole channels at random while training."""
        return _dropout(inputs, self, (inputs.shape[0], 1, 1, inputs.shape[3])) if training else inputs


class GaussianNoise(keras.layers.GaussianNoise):
    """Keras' layer with random numbers from ``seed_in_step``."""

    seed_in_step: tf.Tensor | None = None  # see ``set_seeds``

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:  # noqa: FBT001, FBT002
        """Add noise while training."""
        if not training or not self.stddev:
            return inputs
        shape, dtype = tf.shape(inputs), self.compute_dtype
        return inputs + tf.random.stateless_normal(shape, self.seed_in_step, stddev=self.stddev, dtype=dtype)


def _dropout(inputs: tf.Tensor, layer: keras.layers.Dropout, shape: Sequence[int | None] | None = None) -> tf.Tensor:
    if layer.rate in (0, 1):
        return tf.zeros_like(inputs) if layer.rate else inputs
    return tf.nn.experimental.stateless_dropout(inputs, layer.rate, layer.seed_in_step, noise_shape=shape)


# By Keras' names: for graphs on a processor, and for XLA.
FOR_TRAINING = {
    "BatchNormalization": BatchNormalization,
    "Dropout": Dropout,
    "SpatialDropout2D": SpatialDropout2D,
    "GaussianNoise": GaussianNoise,
}
FOR_XLA = FOR_TRAINING | {"MaxPooling2D": MaxPooling2D}


def own_seeds(layers: Sequence[keras.Layer]) -> list[int]:
    """Return the seeds that layers drew from Keras when they were made, of those that have one."""
    return [int(layer.seed_generator.state.numpy()[0]) for layer in layers if hasattr(layer, "seed_generator")]


def set_seeds(layers: Sequence[keras.Layer], seeds: tf.Tensor, step: tf.Tensor) -> None:
    """Let random layers draw, while a step is traced, what depends on their own seeds (n,) and the step alone.

    Keras' generator counts in a variable, which on a GPU would have to be read back in every step.
    """
    seeded = [layer for layer in layers if hasattr(layer, "seed_generator")]
    for number, layer in enumerate(seeded):
        layer.seed_in_step = tf.stack([seeds[number], step])
