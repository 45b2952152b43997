"""The activation functions of slide "Activation Function" and their derivatives."""

from pathlib import Path

import numpy as np

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study

# As in the variants hidden-leaky-relu and hidden-noisy-relu.
LEAK, NOISE = 0.3, 0.5


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw each function and its derivative from -4 to 4; they are the same in every study."""
    (file,) = figures.files(study, kind).values()
    x = np.linspace(-4, 4, 201)
    sigmoid, positive = 1 / (1 + np.exp(-x)), x > 0
    shown = {
        "sigmoid: 1 / (1 + exp(-x))": (sigmoid, sigmoid * (1 - sigmoid)),
        "tanh": (np.tanh(x), 1 - np.tanh(x) ** 2),
        "ReLU: max(0, x)": (np.where(positive, x, 0), positive * 1.0),
        f"leaky ReLU: max({LEAK} x, x)": (np.where(positive, x, LEAK * x), np.where(positive, 1, LEAK)),
        f"noisy ReLU: max(0, x + noise), sd {NOISE}": (np.where(positive, x, 0), positive * 1.0),
    }
    with style.figure(results / file, 5.2, "Activation functions and their derivatives") as made:
        panels = made.subplots(3, 2).ravel()
        for axes, (name, (value, derivative)) in zip(panels, shown.items(), strict=False):
            if name.startswith("noisy"):
                low, high = (np.maximum(0, x + 1.96 * sign * NOISE) for sign in (-1, 1))
                axes.fill_between(x, low, high, color=style.SKY, alpha=0.4, linewidth=0, label="95 % of the noise")
            axes.plot(x, value, color=style.BLUE, label="value")
            axes.plot(x, derivative, color=style.VERMILION, linestyle="--", label="derivative")
            axes.set_title(name, loc="left", fontsize=8)
            axes.axhline(0, color="0.7", linewidth=0.6)
            axes.axvline(0, color="0.7", linewidth=0.6)
            axes.set_xlabel("weighted sum x")
        panels[-1].set_axis_off()
        panels[-1].legend(*panels[-2].get_legend_handles_labels(), loc="center")
