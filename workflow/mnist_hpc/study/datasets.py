"""What the config check must know of the built-in data sets without loading them."""

from typing import Any

# Classes, shape of one example, and number of training examples; the sources make data to match.
BUILT_IN: dict[str, dict[str, Any]] = {
    "digits": {"classes": 10, "input_shape": [28, 28, 1], "train_examples": 1257},
    "circle": {"classes": 2, "input_shape": [2], "train_examples": 2000},
    "spirals": {"classes": 2, "input_shape": [2], "train_examples": 2000},
}
