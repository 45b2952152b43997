"""The two losses of the lecture, computed from logits, and the output functions that belong to them.

Labels are one-hot float32 (batch, classes), logits float32 (batch, classes); a loss is float32 (batch,).
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf


def one_hot(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Return integer labels (batch,) as one-hot vectors, float32 (batch, classes), as on slide "MNIST Data"."""
    return tf.one_hot(labels, classes, dtype=tf.float32)


def categorical_crossentropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return -Σ T log softmax(logits), in nats per image, as on slide "Softmax Cross Entropy Loss"."""
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def squared_error(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return ½ Σ (O - T)² with O = sigmoid(logits), as slide "Training Neural Networks" derives it.

    Keras' MeanSquaredError is 2 / classes times that, so the lecture's learning rates would not fit it.
    """
    return 0.5 * tf.reduce_sum(tf.square(tf.sigmoid(logits) - labels), axis=-1)


LOSSES: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "CategoricalCrossentropy": categorical_crossentropy,
    "SquaredError": squared_error,
}


def smoothed(name: str, arguments: Mapping[str, Any]) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the loss that a training minimises.

    ``label_smoothing`` s turns the labels T into (1 - s) T + s / classes, as in Keras (C. Szegedy et al., arXiv
    1512.00567).
    """
    smoothing = arguments.get("label_smoothing", 0.0)
    if not smoothing:
        return LOSSES[name]
    return lambda labels, logits: LOSSES[name](labels * (1 - smoothing) + smoothing / labels.shape[-1], logits)


# Functions from logits to outputs between 0 and 1. Sigmoid outputs need not sum to 1.
OUTPUTS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "CategoricalCrossentropy": tf.nn.softmax,
    "SquaredError": tf.sigmoid,
}
