"""Numbers that a training can compute with. YAML and JSON also know NaN and infinity, which pass every limit."""

from typing import Any

from mnist_hpc.errors import UserError

# The largest float32, in which trainings compute.
LARGEST = 3.4028234663852886e38


def check(content: Any) -> None:
    """Raise UserError for the first number in nested mappings and lists that is not finite as a float32."""
    left, seen = [("", content)], set()  # YAML can repeat parts of itself
    while left:
        place, value = left.pop()
        if isinstance(value, int | float) and not abs(value) <= LARGEST:  # NaN is not either
            found = value if isinstance(value, float) else "a larger one"
            raise UserError(f"{place or 'number'}: found {found}, expected a finite number of at most {LARGEST:.1e}")
        if isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, dict):
                left += [(f"{place}.{key}".lstrip("."), item) for key, item in reversed(value.items())]
            else:
                left += [(f"{place}[{index}]", item) for index, item in enumerate(value)]
