"""A disc inside a ring, from slide "Width of Network"."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc.data.splits import Splits, plane


def load(_entry: Mapping[str, Any], _folder: Path) -> tuple[Splits, dict[str, str]]:
    """Return points of a disc (class 0, radius up to 1) and of a ring around it (class 1, radius 1.6 to 2.4).

    Both are uniform by area and drawn alternately from seed 0.
    """
    random = np.random.default_rng(0)
    labels = np.arange(3500, dtype=np.uint8) % 2
    low, high = np.where(labels, 1.6, 0.0), np.where(labels, 2.4, 1.0)
    radius = np.sqrt(random.uniform(low**2, high**2))
    return plane(radius, random.uniform(0, 2 * np.pi, len(labels)), labels), {"source": "generated from seed 0"}
