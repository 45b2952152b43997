"""Translate, rotate, scale and shear training images at random in every step.

The layers have the names, arguments and distributions of Keras' own; pixels from outside the image are black. They
differ from Keras' in two things: RandomShear leaves the centre of an image where it is, while Keras leaves the upper
left corner and thereby moves the digit as well, at a factor of 0.5 by 7 pixels. And all layers together are one affine
map and one bilinear interpolation per image, while Keras interpolates once per layer.
The random numbers depend only on seed and step, so that a resumed training sees the same images.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Added to the seed, so that these random numbers differ from others drawn with it.
STREAM = 0x5EED


def warp(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Return images (batch, rows, columns, channels) in which each position shows what is where its map leads.

    The maps, float32 (batch, 3, 3), are affine, of (column, row, 1). In between, pixels are interpolated bilinearly.
    """
    batch, rows, columns, _ = images.shape
    return tf.raw_ops.ImageProjectiveTransformV2(
        images=images,
        transforms=tf.reshape(maps, [batch, 9])[:, :8],
        output_shape=[rows, columns],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def warp_by_gathering(images: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """Return what ``warp`` returns, by operations that XLA has."""
    batch, rows, columns, channels = images.shape
    down, right = (axis.ravel().astype(np.float32) for axis in np.mgrid[:rows, :columns])
    x, y = (maps[:, row, :1] * right + maps[:, row, 1:2] * down + maps[:, row, 2:3] for row in range(2))
    pixels = tf.reshape(images, [batch, rows * columns, channels])
    left, top = tf.floor(x), tf.floor(y)
    result = tf.zeros_like(pixels)
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        weight = tf.where(inside, (1 - tf.abs(x - column)) * (1 - tf.abs(y - row)), 0.0)
        place = tf.cast(tf.where(inside, row * columns + column, 0.0), tf.int32)
        result += weight[..., tf.newaxis] * tf.gather(pixels, place, batch_dims=1)
    return tf.reshape(result, images.shape)


def augment(
    images: tf.Tensor,
    layers: Sequence[Mapping[str, Any]],
    seed: tf.Tensor,
    step: tf.Tensor,
    warp: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = warp,
) -> tf.Tensor:
    """Return images, float32 (batch, rows, columns, channels), that layers have transformed at random.

    The layers are Keras' names with arguments, such as ``[{"RandomRotation": {"factor": 0.03}}]``.
    """
    batch, rows, columns, _ = images.shape
    state = tf.stack([seed + STREAM, step])
    draws = tf.random.stateless_uniform([4 * len(layers), batch], state)
    # Each map leads from a position in the result to one in the image, relative to the centre.
    maps = _affine(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, batch)
    for number, layer in enumerate(layers):
        ((name, arguments),) = layer.items()
        maps = maps @ MAPS[name](arguments, draws[4 * number : 4 * number + 4], (rows, columns))
    middle = np.array([[1, 0, (columns - 1) / 2], [0, 1, (rows - 1) / 2], [0, 0, 1]], np.float32)
    return warp(images, tf.constant(middle) @ maps @ tf.constant(np.linalg.inv(middle)))


def _affine(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, batch: int) -> tf.Tensor:
    """Return maps [[a, b, c], [d, e, f], [0, 0, 1]] of (column, row, 1), float32 (batch, 3, 3)."""
    entries = [tf.broadcast_to(tf.cast(entry, tf.float32), [batch]) for entry in (a, b, c, d, e, f, 0.0, 0.0, 1.0)]
    return tf.reshape(tf.stack(entries, axis=1), [batch, 3, 3])


def _between(factor: Any, draw: tf.Tensor) -> tf.Tensor:
    """Scale a draw from 0 to 1 to a range: [low, high], or ± one number."""
    low, high = factor if isinstance(factor, list) else (-factor, factor)
    return low + (high - low) * draw


def _translation(arguments: Mapping[str, Any], draws: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    down = size[0] * _between(arguments["height_factor"], draws[0])
    right = size[1] * _between(arguments["width_factor"], draws[1])
    return _affine(1.0, 0.0, -right, 0.0, 1.0, -down, draws.shape[1])


def _rotation(arguments: Mapping[str, Any], draws: tf.Tensor, _size: tuple[int, int]) -> tf.Tensor:
    angle = 2 * np.pi * _between(arguments["factor"], draws[0])
    cosine, sine = tf.cos(angle), tf.sin(angle)
    return _affine(cosine, -sine, 0.0, sine, cosine, 0.0, draws.shape[1])


def _zoom(arguments: Mapping[str, Any], draws: tf.Tensor, _size: tuple[int, int]) -> tf.Tensor:
    height = 1 + _between(arguments["height_factor"], draws[0])
    width = 1 + _between(arguments["width_factor"], draws[1]) if "width_factor" in arguments else height
    return _affine(width, 0.0, 0.0, 0.0, height, 0.0, draws.shape[1])


def _shear(arguments: Mapping[str, Any], draws: tf.Tensor, _size: tuple[int, int]) -> tf.Tensor:
    """Shear half of the images the other way, as Keras does: with two ranges by both at once, else by each alone."""
    factors = [arguments.get(name, 0.0) for name in ("x_factor", "y_factor")]
    x, y = (factor if isinstance(factor, list) else [0.0, factor] for factor in factors)
    signs = tf.sign(draws[2:] - 0.5)
    across, down = signs[0], signs[0 if all(isinstance(factor, list) for factor in factors) else 1]
    return _affine(1.0, across * _between(x, draws[0]), 0.0, down * _between(y, draws[1]), 1.0, 0.0, draws.shape[1])


MAPS = {"RandomTranslation": _translation, "RandomRotation": _rotation, "RandomZoom": _zoom, "RandomShear": _shear}
