"""Two spirals, from slide "Linear + Nonlinear"."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc.data.splits import Splits, plane


def load(_entry: Mapping[str, Any], _folder: Path) -> tuple[Splits, dict[str, str]]:
    """Return points of two spirals (classes 0 and 1) that wind one and a half times around each other.

    The radius is 0.2 to 2 with normal noise of standard deviation 0.03, drawn from seed 0.
    """
    random = np.random.default_rng(0)
    labels = np.arange(3500, dtype=np.uint8) % 2
    turn = np.sqrt(random.uniform(0.01, 1, len(labels)))
    radius = 2 * turn + random.normal(0, 0.03, len(labels))
    return plane(radius, 3 * np.pi * turn + np.pi * labels, labels), {"source": "generated from seed 0"}
