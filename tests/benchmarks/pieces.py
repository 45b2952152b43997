"""Pieces of a benchmark of which one may fail without ending the others."""

from collections.abc import Callable
from typing import Any

from mnist_hpc.errors import UserError

Row = dict[str, Any]


def attempt(keys: Row, work: Callable[..., Row], *arguments: Any) -> Row:
    """Return a row of what a piece of work measured, or of the error that ended it, and print it."""
    try:
        row = keys | work(*arguments) | {"error": ""}
    except (RuntimeError, OSError, UserError) as error:
        row = keys | {"error": " ".join(str(error).split())[-300:]}
    values = {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items() if value != ""}
    print(", ".join(f"{key} {value}" for key, value in values.items()), flush=True)
    return row


def failed(error: Exception) -> Row:
    """Raise an error again."""
    raise error
