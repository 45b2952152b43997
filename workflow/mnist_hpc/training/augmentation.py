"""Training images moved, turned, scaled and sheared at random, anew in every step; never flipped.

The layers of ``augmentation`` are Keras' own, with Keras' arguments and distributions, and black comes in from outside.
All of them together are one affine map an image and one bilinear interpolation, where Keras interpolates once a layer.
The random numbers are a function of seed and step, so that a resumed training sees the same images.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Set apart from what else is drawn from a seed.
STREAM = 0x5EED


def augment(images: tf.Tensor, layers: Sequence[Mapping[str, Any]], seed: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Return images moved at random.

    Args:
        images: float32 (batch, rows, columns, channels).
        layers: Keras layer names with their arguments, as ``[{"RandomRotation": {"factor": 0.03}}]``.
        seed: of the run, int32.
        step: number of the step, int32.
    """
    batch, rows, columns, _ = images.shape
    state = tf.stack([seed + STREAM, step])
    draws = tf.random.stateless_uniform([4 * len(layers), batch], state)
    # From positions in the result to positions in the image, around the centre.
    maps = _affine(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, batch)
    for number, layer in enumerate(layers):
        ((name, arguments),) = layer.items()
        maps = maps @ MAPS[name](arguments, draws[4 * number : 4 * number + 4], (rows, columns))
    middle = np.array([[1, 0, (columns - 1) / 2], [0, 1, (rows - 1) / 2], [0, 0, 1]], np.float32)
    maps = tf.constant(middle) @ maps @ tf.constant(np.linalg.inv(middle))
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.reshape(maps, [batch, 9])[:, :8],
        output_shape=[rows, columns],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _affine(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, batch: int) -> tf.Tensor:
    """Return maps [[a, b, c], [d, e, f], [0, 0, 1]] of (column, row, 1), float32 (batch, 3, 3)."""
    entries = [tf.broadcast_to(tf.cast(entry, tf.float32), [batch]) for entry in (a, b, c, d, e, f, 0.0, 0.0, 1.0)]
    return tf.reshape(tf.stack(entries, axis=1), [batch, 3, 3])


def _between(factor: Any, draw: tf.Tensor) -> tf.Tensor:
    """Return a draw from 0 to 1 stretched over a range, [low, high] or one number for ± that."""
    low, high = factor if isinstance(factor, list) else (-factor, factor)
    return low + (high - low) * draw


def _translation(arguments: Mapping[str, Any], draws: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    down = size[0] * _between(arguments["height_factor"], draws[0])
    right = size[1] * _between(arguments["width_factor"], draws[1])
    return _affine(1.0, 0.0, -right, 0.0, 1.0, -down, draws.shape[1])


def _rotation(arguments: Mapping[str, Any], draws: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    del size
    angle = 2 * np.pi * _between(arguments["factor"], draws[0])
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return _affine(cosine, -sine, 0.0, sine, cosine, 0.0, draws.shape[1])


def _zoom(arguments: Mapping[str, Any], draws: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    del size
    height = 1 + _between(arguments["height_factor"], draws[0])
    width = 1 + _between(arguments["width_factor"], draws[1]) if "width_factor" in arguments else height
    return _affine(width, 0.0, 0.0, 0.0, height, 0.0, draws.shape[1])


def _shear(arguments: Mapping[str, Any], draws: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """One number is from 0 to that, and half of the images are sheared the other way, as Keras has it."""
    del size
    x, y = ([0.0, value] if not isinstance(value, list) else value for value in map(arguments.get, FACTORS, (0.0, 0.0)))
    sign = tf.sign(draws[2] - 0.5)
    return _affine(1.0, sign * _between(x, draws[0]), 0.0, sign * _between(y, draws[1]), 1.0, 0.0, draws.shape[1])


FACTORS = ("x_factor", "y_factor")
MAPS = {"RandomTranslation": _translation, "RandomRotation": _rotation, "RandomZoom": _zoom, "RandomShear": _shear}
