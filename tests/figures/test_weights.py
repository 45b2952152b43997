"""Weights as images."""

import numpy as np

from mnist_hpc.figures import weights


def test_weights_become_one_image_a_class_or_filter():
    dense = np.arange(784 * 10, dtype=np.float32).reshape(784, 10)
    pictures = weights.images({"02_dense/bias": np.zeros(10), "02_dense/kernel": dense}, [28, 28, 1])
    assert len(pictures) == 10
    assert pictures[3][1, 2] == dense[28 + 2, 3]
    pictures = weights.images({"01_conv2d/kernel": np.zeros((5, 5, 1, 32))}, [28, 28, 1])
    assert (len(pictures), pictures[0].shape) == (32, (5, 5))
