"""The digits that ship with scikit-learn: a small set of real images that needs no download."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc.data.splits import Splits, cut


def load(_entry: Mapping[str, Any], _folder: Path) -> tuple[Splits, dict[str, str]]:
    """Return scikit-learn's 1,797 8×8 digits, converted to MNIST's format.

    Each image (grey levels 0 to 16) is interpolated bilinearly, with pixel centres aligned, to the 20×20 box that
    MNIST's digits fill, scaled to 0 to 255, rounded, and padded with MNIST's margin of 4 pixels. The file is ordered
    by writer: the last 360 images (20 %) are the test set, the first 180 the validation set.
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998).
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    position = (np.arange(20) + 0.5) * 8 / 20 - 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(position.clip(0, 7)[:, None] - np.arange(8)))
    boxes = weights @ data.images @ weights.T
    images = np.zeros((len(boxes), 28, 28), np.uint8)
    images[:, 4:24, 4:24] = np.rint(boxes * (255 / 16))
    labels = data.target.astype(np.uint8)
    return cut(images, labels, {"validation": 180, "train": 1257, "test": 360}), {"source": "scikit-learn load_digits"}
