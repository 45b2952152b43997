"""The scripts of the page."""

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent


def joined(modules: Iterable[str]) -> str:
    """Return modules as one, for a page that can import nothing; the names that they define must differ."""
    lines = [line for name in modules for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]
    return "\n".join(line for line in lines if not line.startswith("import "))
