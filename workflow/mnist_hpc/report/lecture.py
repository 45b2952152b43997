"""The lecture retold with the numbers of a study, as reStructuredText and as HTML."""

import re
from collections.abc import Callable
from pathlib import Path

import jinja2
import pandas as pd
from docutils.core import publish_parts

from mnist_hpc import figures
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import text

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701  what fills the template is reStructuredText
)

# Kinds of figures that the page has as charts instead, and the sections that hold them.
CHARTS = {"sweeps": "sweeps", "accuracy-time": "variants"}


def published(study: Study, results: Path, variants: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """Return the lecture as the body of a section of HTML.

    Its pictures have ``data-picture`` instead of ``src``, and some are links to charts of the page.
    """

    def named(kind: str, subject: str) -> str | None:
        if kind in CHARTS and subject in figures.files(study, kind):
            return f"#{CHARTS[kind]}"
        path = _picture(study, results, kind, subject) if kind in figures.OF_THE_REPORT else None
        return None if path is None else f"picture:{kind}/{subject}".rstrip("/")

    settings = {
        "raw_enabled": False,
        "file_insertion_enabled": False,
        "halt_level": 2,
        "line_length_limit": 10**8,
        "initial_header_level": 3,
        "id_prefix": "lecture-",
    }
    parts = publish_parts(source(study, variants, comparisons, named), writer="html5", settings_overrides=settings)
    return re.sub(r'src="picture:([\w/-]+)"', r'data-picture="\1"', parts["body"])


def source(
    study: Study, variants: pd.DataFrame, comparisons: pd.DataFrame, place: Callable[[str, str], str | None]
) -> str:
    """Return the lecture as reStructuredText.

    Args:
        study: The study.
        variants: Rows of variants.csv.
        comparisons: Rows of comparisons.csv.
        place: Returns the URL of a picture, given kind and subject, or None if it does not exist. Where it begins with
            "#", the picture is somewhere else on the same page.
    """
    rows = variants.set_index("variant")
    bases = comparisons[comparisons["relation"] == "base"].set_index("variant")

    def accuracy(name: str) -> str:
        """Return the test accuracy of a variant, or why there is none."""
        if name not in rows.index:
            return "not in this study"
        row = rows.loc[name]
        return text.accuracy(row) if row["n"] else f"no results yet ({row['status']})"

    def difference(name: str) -> str:
        """Return the paired difference of a variant's test accuracy to that of its base, or that there is none."""
        known = name in bases.index and bases.loc[name, "n"] > 0
        return f"the difference: {text.difference(bases.loc[name])}" if known else "the difference was not measured"

    def passes(name: str) -> str:
        """Return how long a variant is trained, as text."""
        epochs = study.variants[name].keys.get("epochs") if name in study.variants else None
        return "some passes" if epochs is None else "one pass" if epochs == 1 else f"{epochs} passes"

    def picture(kind: str, subject: str, alternative: str) -> str:
        """Return the directive of a picture, or a link to it, or nothing if the study does not have it."""
        url = place(kind, subject)
        if url and url.startswith("#"):
            return f"`{alternative} <{url}>`__"
        return f".. image:: {url}\n   :alt: {alternative}\n   :width: 500" if url else ""

    return TEMPLATES.get_template("lecture.rst.jinja").render(
        accuracy=accuracy, difference=difference, passes=passes, picture=picture, dataset=study.dataset
    )


def _picture(study: Study, results: Path, kind: str, subject: str) -> Path | None:
    """Return the file of a figure, or None if it does not exist."""
    file = figures.files(study, kind).get(subject)
    return results / file if file and (results / file).is_file() else None
