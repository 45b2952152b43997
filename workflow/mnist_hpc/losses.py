"""The two losses of the lecture, on logits, and the outputs that belong to them.

Labels are one-hot float32 (batch, classes), logits float32 (batch, classes); a loss is float32 (batch,).
"""

from collections.abc import Callable

import tensorflow as tf


def one_hot(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Return integer labels (batch,) as one-hot vectors float32 (batch, classes): slide "MNIST Data"."""
    return tf.one_hot(labels, classes, dtype=tf.float32)


def categorical_crossentropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return -Σ T log softmax(logits), in nats an image: slide "Softmax Cross Entropy Loss"."""
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def squared_error(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return ½ Σ (O - T)² with O = sigmoid(logits), as slide "Training Neural Networks" derives it.

    Keras' MeanSquaredError is 2 / classes times that, so the lecture's step sizes would not carry over.
    """
    return 0.5 * tf.reduce_sum(tf.square(tf.sigmoid(logits) - labels), axis=-1)


LOSSES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "CategoricalCrossentropy": categorical_crossentropy,
    "SquaredError": squared_error,
}

# What turns logits into outputs between 0 and 1. Sigmoid outputs each stand alone: they need not sum to 1.
OUTPUTS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "CategoricalCrossentropy": tf.nn.softmax,
    "SquaredError": tf.sigmoid,
}
