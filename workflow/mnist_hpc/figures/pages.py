"""The report's own pages: the lecture retold, the tables, and what the study is made of; each one file of HTML."""

import base64
import html
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from docutils.core import publish_parts

from mnist_hpc import figures
from mnist_hpc.files.atomic import atomic
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.text import BEST
from mnist_hpc.tables.text import accuracy as accuracy_text

TEMPLATES = Path(__file__).parents[2] / "report"
# Points of each sweep that the page of tables shows, best first.
POINTS = 10
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62em; margin: 1em auto; padding: 0 1em }
body { color: #222; background: #fff }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2em }
img { max-width: 100%; width: 33em; display: block; margin: .5em 0 }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums }
th, td { padding: .15em .6em; text-align: left; vertical-align: bottom; border-bottom: 1px solid #ddd }
td { white-space: nowrap } td p, th p { margin: 0 } table.text td { white-space: normal }
.wide, pre { overflow-x: auto } pre { font-size: 13px; background: #f6f6f6; padding: .6em }
"""


def write(study: Study, results: Path) -> None:
    """Write all pages of a study, into the folder ``results``."""
    texts = {
        "lecture": publish(lecture(study, results, _embedded)),
        "tables": tables(study, results),
        "study": made_of(study, results),
    }
    _write_text(results / figures.home_file(study), home(study, results))
    for name, file in figures.page_files(study).items():
        _write_text(results / file, page(f"{name} · {study.dataset}", texts[name]))


def home(study: Study, results: Path) -> str:
    """Return the first page of the report, as reStructuredText."""
    variants = pd.read_csv(results / study.dataset / "tables" / "variants.csv")
    own = variants[variants["dataset"] == study.dataset]
    done = own[own["n"] > 0].sort_values("test_accuracy_mean", ascending=False, kind="stable")
    seeds = figures.counted(done["n"]) if len(done) else "no"
    best = [{"variant": row["variant"], "text": _accuracy(row)} for row in done.head(BEST).to_dict("records")]
    template = jinja2.Template((TEMPLATES / "home.rst.jinja").read_text(), undefined=jinja2.StrictUndefined)
    seeds += " seed" if seeds == "1" else " seeds"
    facts = {"dataset": study.dataset, "done": len(done), "count": len(own), "seeds": seeds}
    return template.render(facts, best=best, lecture=figures.LECTURE) + "\n"


def write_lecture(study: Study, results: Path, folder: Path) -> None:
    """Write the lecture retold as reStructuredText with its pictures beside it, as a code host shows it."""

    def copied(path: Path) -> str:
        kind = path.parent.name if path.parent.name != "figures" else ""
        name = "-".join(filter(None, [kind, path.name]))
        _write_text(folder / name, path.read_text())
        return name

    _write_text(folder / "lecture.rst", lecture(study, results, copied))


def lecture(study: Study, results: Path, place: Callable[[Path], str]) -> str:
    """Return the lecture retold, as reStructuredText.

    Args:
        study: whose numbers are told.
        results: the folder ``results``.
        place: returns where a picture is to be found, from its path.
    """
    variants = pd.read_csv(results / study.dataset / "tables" / "variants.csv").set_index("variant")

    def accuracy(name: str) -> str:
        """Return mean and sd of a variant, or why there are none."""
        if name not in variants.index:
            return "not in this study"
        row = variants.loc[name]
        return _accuracy(row) if row["n"] else f"no run yet ({row['status']})"

    def picture(kind: str, subject: str, text: str) -> str:
        """Return the directive of a picture; nothing where the study has no such picture."""
        path = results / figures.files(study, kind).get(subject, "nowhere")
        return f".. image:: {place(path)}\n   :alt: {text}\n   :width: 500" if path.is_file() else ""

    template = jinja2.Template((TEMPLATES / "lecture.rst.jinja").read_text(), undefined=jinja2.StrictUndefined)
    return template.render(accuracy=accuracy, picture=picture, dataset=study.dataset) + "\n"


def tables(study: Study, results: Path) -> str:
    """Return the study's tables as HTML, rounded, with what their columns mean."""
    folder = results / study.dataset / "tables"
    named = {name: pd.read_csv(folder / f"{name}.csv") for name in ("variants", "comparisons", "ensembles", "sweeps")}
    variants = named["variants"].sort_values("test_accuracy_mean", ascending=False, kind="stable")
    variants = variants.sort_values("dataset", key=lambda names: names != study.dataset, kind="stable")
    best = named["sweeps"][named["sweeps"]["rank"] <= POINTS]
    best = best.assign(values=[_values(text) for text in best["values"]])
    place = html.escape(str(folder))
    parts = [
        "<h1>Tables</h1>",
        _paragraph(
            "Accuracies are fractions of the test images, cross entropies are nats an image, times are seconds. "
            f"The same tables with every digit, and one with each run, are in {place}."
        ),
        "<h2>Variants</h2>",
        _paragraph("Mean over n seeds, standard deviation, 95 % interval (Student)."),
        _table(variants),
        "<h2>Comparisons</h2>",
        _paragraph(
            "Test accuracy of a variant less that of its base, or of the best variant by validation, seed by seed. "
            "McNemar's exact test asks whether the images that only one of the two reads rightly could be evenly "
            "shared by chance."
        ),
        _table(named["comparisons"]),
    ]
    if len(named["ensembles"]):
        parts += [
            "<h2>Ensembles</h2>",
            _paragraph("The class with the highest mean probability over all members; Wilson's interval."),
            _table(named["ensembles"]),
        ]
    if len(best):
        parts += [
            f"<h2>Sweeps</h2>{_paragraph(f'The {POINTS} best points of each, by validation loss.')}",
            _table(best),
        ]
    return "\n".join(parts)


def made_of(study: Study, results: Path) -> str:
    """Return what the study is made of as HTML: provenance, and variants with all their keys."""
    facts = json.loads((results / study.dataset / "tables" / "provenance.json").read_text())
    made = {key: ", ".join(values) for key, values in facts["runs_made_with"].items()}
    data = {f"data: {name}": f"{about['source']}, hash {about['data_hash']}" for name, about in facts["data"].items()}
    runs = ", ".join(f"{count} {status}" for status, count in facts["runs"].items())
    rows = {
        "runs": runs,
        "first start, last end": f"{facts['runs_started']}, {facts['runs_finished']}",
        **data,
        **made,
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
    cells = "".join(f"<tr><td>{html.escape(key)}</td><td>{html.escape(str(rows[key]))}</td></tr>" for key in rows)
    return (
        "<h1>What the study is made of</h1><p>A commit with “+changes” had uncommitted ones.</p>"
        f"<div class=wide><table class=text>{cells}</table></div>"
        "<h2>Configuration</h2><p>Each variant with what it takes over from its base, from a sweep and by default; the "
        f"config.yaml of the project says why.</p><pre>{html.escape(yaml.safe_dump(config, sort_keys=False))}</pre>"
    )


def page(title: str, body: str) -> str:
    """Return a whole page of HTML that needs nothing else."""
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{html.escape(title)}</title>"
    return f"<!doctype html>\n<html lang=en><head>{head}<style>{STYLE}</style></head><body>{body}</body></html>\n"


def publish(text: str) -> str:
    """Return reStructuredText as the body of a page."""
    settings = {"raw_enabled": False, "file_insertion_enabled": False, "halt_level": 2, "line_length_limit": 10**8}
    return publish_parts(text, writer="html5", settings_overrides=settings)["html_body"]


def _accuracy(row: Mapping[str, Any]) -> str:
    return f"{accuracy_text(row)} (n = {row['n']})"


def _paragraph(text: str) -> str:
    return f"<p>{text}</p>"


def _table(table: pd.DataFrame) -> str:
    formatters: dict[str, Any] = {name: "{:.4g}".format for name in table.columns if table[name].dtype == float}
    formatters |= {name: "{:.4f}".format for name in formatters if "accuracy" in name or "difference" in name}
    table = table.rename(columns=lambda name: name.replace("_", " "))
    formatters = {name.replace("_", " "): text for name, text in formatters.items()}
    return f"<div class=wide>{table.to_html(index=False, na_rep='', formatters=formatters, border=0)}</div>"


def _values(text: str) -> str:
    return ", ".join(f"{key} {value}" for key, value in json.loads(text).items())


def _embedded(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
