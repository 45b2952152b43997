"""The report of a study: one HTML page to explore, which needs no network. This module imports nothing heavy."""

from pathlib import Path

# Templates, styles and scripts of the page; they are part of its code.
FILES = [path for path in Path(__file__).parent.iterdir() if path.suffix in (".html", ".css", ".js", ".jinja")]
