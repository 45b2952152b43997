"""Test images that are shifted, rotated, zoomed or noisy by fixed amounts, and what trained models make of them.

Every net sees the same images: what is random about them is drawn with a fixed seed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mnist_hpc.data.splits import Split
from mnist_hpc.training import models
from mnist_hpc.training.evaluation import in_batches, scores
from mnist_hpc.training.losses import LOSSES
from mnist_hpc.training.models_file import Model

SEED = 28
# The levels of each transform; "none" leaves the images as they are.
LEVELS: dict[str, tuple[float, ...]] = {
    "none": (0.0,),
    "shift": (1.0, 2.0, 3.0, 4.0),  # pixels: left, right, up or down
    "rotation": (10.0, 20.0, 30.0, 45.0),  # degrees: one way or the other
    "zoom": (0.7, 0.85, 1.15, 1.3),  # times the size; below 1, digits become smaller
    "noise": (0.1, 0.2, 0.3, 0.5),  # standard deviation, of grey levels from 0 to 1
}


def measure(
    specification: Mapping[str, Any], trained: Mapping[int, Model], test: Split, classes: int
) -> Iterator[dict[str, Any]]:
    """Yield ``transform``, ``level``, ``seed``, ``test_accuracy`` and ``test_loss`` at all levels, for all seeds.

    Seeds whose training failed are left out.
    """
    model = models.build(specification["layers"], specification["input_shape"], seed=0)
    (name,) = specification["loss"]
    predict = models.predictor(model, name)
    for transform, levels in LEVELS.items():
        for level in levels:
            images = transformed(test.inputs, transform, level)
            for seed, run in trained.items():
                if run.weights:
                    models.set_weights(model, run.weights)
                    logits, _ = in_batches(predict, images)
                    found = scores(logits, test.labels, classes, LOSSES[name])
                    yield {"transform": transform, "level": level, "seed": seed, **found}


def transformed(images: np.ndarray, transform: str, level: float) -> np.ndarray:
    """Return images, uint8 (N, rows, columns), as float32 (N, rows, columns, 1) from 0 to 1, transformed.

    The direction of each image's shift or rotation is drawn, the same at all levels; so is the noise, whose sum with
    the image is clipped to 0 to 1. Geometry is about the centre, bilinear, and black beyond the edges.
    """
    greys = models.inputs(images).numpy()
    random, count = np.random.default_rng(SEED), len(images)
    if transform == "noise":
        return np.clip(greys + np.float32(level) * random.standard_normal(greys.shape, np.float32), 0, 1)
    if transform == "shift":
        quarter = random.integers(4, size=count)
        right, down = (level * np.array(steps)[quarter] for steps in ([1, 0, -1, 0], [0, 1, 0, -1]))
        return _warped(greys, np.ones(count), np.zeros(count), right, down)
    if transform == "rotation":
        angle = np.radians(level) * random.choice([-1, 1], count)
        return _warped(greys, np.cos(angle), np.sin(angle))
    if transform == "zoom":
        return _warped(greys, np.full(count, 1 / level), np.zeros(count))
    return greys


def _warped(
    images: np.ndarray,
    cosine: np.ndarray,
    sine: np.ndarray,
    right: np.ndarray | float = 0.0,
    down: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Return images rotated and scaled about their centre, then moved by pixels; all other arguments are (N,).

    ``cosine`` and ``sine`` are those of the map from a position in the result to one in the image, times its scale.
    """
    rows, columns = images.shape[1:3]
    x, y = (columns - 1) / 2, (rows - 1) / 2
    zeros = np.zeros(len(images))
    maps = [cosine, -sine, x - cosine * (x + right) + sine * (y + down)]
    maps += [sine, cosine, y - sine * (x + right) - cosine * (y + down), zeros, zeros]
    with tf.device("CPU"):  # the same images whatever the device of the net
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=np.stack(maps, axis=1).astype(np.float32),
            output_shape=[rows, columns],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
    return moved.numpy()
