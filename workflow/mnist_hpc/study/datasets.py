"""What the config check must know of the built-in data sets without loading them."""

from typing import Any

# Classes, shape of one example, and number of training examples; the sources make data to match.
BUILT_IN: dict[str, dict[str, Any]] = {
    "digits": {"classes": 10, "input_shape": [28, 28, 1], "train_examples": 1257},
    "circle": {"classes": 2, "input_shape": [2], "train_examples": 2000},
    "spirals": {"classes": 2, "input_shape": [2], "train_examples": 2000},
}
# Those that are points of the plane: toy problems, which a training either solves or does not.
POINTS = tuple(name for name, facts in BUILT_IN.items() if facts["input_shape"] == [2])
