"""The report's own pages, one HTML file each: the lecture retold, the tables, and what the study is made of."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from docutils.core import publish_parts

from mnist_hpc import figures
from mnist_hpc.files.atomic import write_text
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import text

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parents[2] / "report"),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,  # noqa: S701  most of what fills the templates is reStructuredText or HTML itself
)
# Number of points of each sweep in the page of tables.
POINTS = 10


def write(study: Study, results: Path) -> None:
    """Write all pages of a study."""
    texts = {
        "lecture": publish(lecture(study, results, _embedded)),
        "tables": tables(study, results),
        "study": made_of(study, results),
    }
    write_text(results / figures.home_file(study), home(study, results))
    for name, file in figures.page_files(study).items():
        write_text(results / file, rendered("page.html", title=f"{name} · {study.dataset}", body=texts[name]))


def home(study: Study, results: Path) -> str:
    """Return the first page of the report, as reStructuredText."""
    variants = _read(study, results, "variants")
    own = variants[variants["dataset"] == study.dataset]
    done = own[own["n"] > 0]
    seeds = figures.counted(done["n"]) if len(done) else "no"
    return rendered(
        "home.rst",
        dataset=study.dataset,
        done=len(done),
        count=len(own),
        seeds=f"{seeds} seed" if seeds == "1" else f"{seeds} seeds",
        best=[
            {
                "variant": row["variant"],
                "validation": f"{100 * row['validation_accuracy_mean']:.2f} %",
                "test": text.accuracy(row),
            }
            for row in text.leading(done.to_dict("records"))
        ],
        lecture=figures.LECTURE,
    )


def write_lecture(study: Study, results: Path, folder: Path) -> None:
    """Write the lecture retold as reStructuredText, with its pictures beside it, as code hosts show it."""

    def copied(path: Path) -> str:
        kind = path.parent.name if path.parent.name != "figures" else ""
        name = "-".join(filter(None, [kind, path.name]))
        write_text(folder / name, path.read_text())
        return name

    write_text(folder / "lecture.rst", lecture(study, results, copied))


def lecture(study: Study, results: Path, place: Callable[[Path], str]) -> str:
    """Return the lecture retold with the study's numbers, as reStructuredText; ``place`` returns a picture's URL."""
    variants = _read(study, results, "variants").set_index("variant")
    comparisons = _read(study, results, "comparisons")
    bases = comparisons[comparisons["relation"] == "base"].set_index("variant")

    def accuracy(name: str) -> str:
        """Return the test accuracy of a variant, or why there is none."""
        if name not in variants.index:
            return "not in this study"
        row = variants.loc[name]
        return text.accuracy(row) if row["n"] else f"no results yet ({row['status']})"

    def difference(name: str) -> str:
        """Return the paired difference of a variant's test accuracy to that of its base, or that there is none."""
        known = name in bases.index and bases.loc[name, "n"] > 0
        return f"the difference: {text.difference(bases.loc[name])}" if known else "the difference was not measured"

    def picture(kind: str, subject: str, alternative: str) -> str:
        """Return the directive of a picture, or nothing if the study does not have it."""
        path = results / figures.files(study, kind).get(subject, "none")
        return f".. image:: {place(path)}\n   :alt: {alternative}\n   :width: 500" if path.is_file() else ""

    return rendered("lecture.rst", accuracy=accuracy, difference=difference, picture=picture, dataset=study.dataset)


def tables(study: Study, results: Path) -> str:
    """Return the study's tables as HTML, rounded, with what their columns mean."""
    variants = _read(study, results, "variants").sort_values("validation_accuracy_mean", ascending=False, kind="stable")
    variants = variants.sort_values("dataset", key=lambda names: names != study.dataset, kind="stable")
    sweeps = _read(study, results, "sweeps")
    best = sweeps[sweeps["rank"] <= POINTS]
    best = best.assign(values=[_values(values) for values in best["values"]])
    return rendered(
        "tables.html",
        folder=results / study.dataset / "tables",
        variants=_cells(variants),
        comparisons=_cells(_read(study, results, "comparisons")),
        ensembles=_cells(_read(study, results, "ensembles")),
        calibration=_cells(_read(study, results, "calibration")),
        sweeps=_cells(best),
        points=POINTS,
    )


def made_of(study: Study, results: Path) -> str:
    """Return what the study is made of as HTML: its provenance, and its variants with all their keys."""
    facts = json.loads((results / study.dataset / "tables" / "provenance.json").read_text())
    shown = {
        "runs": ", ".join(f"{count} {status}" for status, count in facts["runs"].items()),
        "first start, last end": f"{facts['runs_started']}, {facts['runs_finished']}",
        **{f"data: {name}": f"{about['source']}, hash {about['data_hash']}" for name, about in facts["data"].items()},
        **{key: ", ".join(values) for key, values in facts["runs_made_with"].items()},
        "changed on the command line": facts["overrides"],
        "tables made": f"{facts['finished']} on {facts['host']}, commit {facts['commit']}",
    }
    config = {
        "variants": {
            name: {"dataset": variant.dataset, "seeds": variant.seeds, **(facts["specifications"][name] or {})}
            for name, variant in study.variants.items()
        },
        "sweeps": {
            name: {"variant": sweep.variant.name, "seeds": sweep.seeds, "grid": dict(sweep.grid)}
            for name, sweep in study.sweeps.items()
        },
        "ensembles": study.ensembles,
    }
    return rendered("study.html", facts=shown, config=yaml.safe_dump(config, sort_keys=False))


def rendered(template: str, **values: Any) -> str:
    """Return a template of the report with these values."""
    return TEMPLATES.get_template(f"{template}.jinja").render(values)


def publish(source: str) -> str:
    """Return reStructuredText as the body of an HTML page."""
    settings = {"raw_enabled": False, "file_insertion_enabled": False, "halt_level": 2, "line_length_limit": 10**8}
    return publish_parts(source, writer="html5", settings_overrides=settings)["html_body"]


def _read(study: Study, results: Path, table: str) -> pd.DataFrame:
    return pd.read_csv(results / study.dataset / "tables" / f"{table}.csv")


def _cells(table: pd.DataFrame) -> str:
    """Return a table as HTML, rounded, or nothing if it is empty."""
    if table.empty:
        return ""
    table = table.rename(columns=lambda name: name.replace("_", " "))
    formatters: dict[str, Any] = {
        name: ("{:.4f}" if "accuracy" in name or "difference" in name else "{:.4g}").format
        for name in table.select_dtypes(float)
    }
    return table.to_html(index=False, na_rep="", formatters=formatters, border=0)


def _values(values: str) -> str:
    return ", ".join(f"{key} {value}" for key, value in json.loads(values).items())


def _embedded(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
