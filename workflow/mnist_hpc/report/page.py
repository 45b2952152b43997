"""The report: one HTML page that needs no network, from the results of a study that are there."""

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from mnist_hpc import __version__, figures
from mnist_hpc.files.provenance import now
from mnist_hpc.report import drawing, lecture
from mnist_hpc.report.columns import COLUMNS
from mnist_hpc.report.contents import contents, ranked, with_models
from mnist_hpc.report.overview import minute, overview
from mnist_hpc.report.scripts import joined
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import aggregate, text

FOLDER = Path(__file__).parent
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(FOLDER),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
    trim_blocks=True,
)
TEMPLATES.policies["json.dumps_kwargs"] = {}  # do not sort keys: variants come best first
SCRIPTS = (
    *("contents.js", "choice.js", "tables.js", "sweeps.js", "charts.js", "gallery.js"),
    *("net.js", "planes.js", "report.js"),
)
SECTIONS = {
    "overview": "Overview",
    "draw": "Draw",
    "variants": "Variants",
    "comparisons": "Comparisons",
    "curves": "Curves",
    "sweeps": "Sweeps",
    "mistakes": "Mistakes",
    "inside": "Inside",
    "trust": "Calibration",
    "costs": "Costs",
    "lecture": "Lecture",
    "provenance": "Provenance",
}
# Kinds of figures in "Inside the nets": title and what they show.
PICTURES = {
    "templates": (
        "Templates",
        "The weights of a linear model, one image per class: it predicts the class whose image fits the digit best.",
    ),
    "filters": (
        "Filters",
        "The filters of the first convolution: edges and strokes, if the training has found some.",
    ),
    "boundaries": (
        "Decision boundaries",
        "The classes that nets with different seeds assign to the plane, by colour, and training points.",
    ),
    "hidden-space": (
        "Hidden space",
        "Training points by the outputs of three hidden units. The predicted class changes at the grey plane.",
    ),
}
TRANSFORMS = (
    ("shift", "a shift, pixels"),
    ("rotation", "a rotation, degrees"),
    ("zoom", "a zoom, times the size"),
    ("noise", "noise, sd of grey levels from 0 to 1"),
)
# What the scripts use of Vega.
LIBRARY = "window.vegaEmbed = vegaEmbed;"
MADE_FROM = 'name="mnist-hpc-made-from" content="'


def made_from(study: Study, results: Path, code: Iterable[str]) -> str:
    """Return a hash of what a report is made from: config, code, and the files that are there, by size and time."""
    beside = [f"{study.dataset}/tables/jobs.csv", *(f"{name}/data/train.h5" for name in study.datasets)]
    files = [*study.files, *figures.of_the_report(study), *beside, *(work.record for work in study.works)]
    paths = [(file, results / file) for file in files]
    found = [(file, path.stat().st_size, path.stat().st_mtime_ns) for file, path in paths if path.is_file()]
    listed = [study.hash, study.overrides, study.drawn, *code, *found]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def is_current(path: Path, source: str) -> bool:
    """Return whether a report was made from these files, by what ``made_from`` returned for them."""
    if not path.exists():
        return False
    with path.open(encoding="utf-8") as file:
        return f"{MADE_FROM}{source}" in file.read(1000)


def page(
    study: Study, results: Path, tables: Mapping[str, pd.DataFrame], hashes: Mapping[str, str], source: str
) -> str:
    """Return the report as HTML.

    Args:
        study: The study.
        results: Folder of all results.
        tables: The tables of ``study_tables.computed``.
        hashes: Code hashes by stage.
        source: What ``made_from`` returns.

    Raises:
        UserError: A result is damaged, or a net that is to read drawings has a layer that a browser cannot compute.
    """
    from mnist_hpc.report import charts

    known = with_models(study, results, tables["runs"])
    explored = contents(study, results, tables, known)
    drawn = drawing.fragment(study, results, known)
    images = bool(figures.of_images(study))
    absent = {"draw": not drawn, "sweeps": not study.sweeps, "mistakes": not images, "trust": not images}
    classes, _, _ = study.facts(study.dataset)
    provenance = aggregate.provenance(study, results, tables["runs"])
    order = ranked(study, tables["variants"])
    return TEMPLATES.get_template("report.html").render(
        made_from=source,
        dataset=study.dataset,
        style=(FOLDER / "report.css").read_text(encoding="utf-8"),
        sections=[(name, title) for name, title in SECTIONS.items() if not absent.get(name)],
        counted=text.counted,
        variants=study.variants,
        overview=overview(study, results, tables, hashes),
        now=minute(now()),
        drawing=drawn,
        columns={name: [column._asdict() for column in columns] for name, columns in COLUMNS.items()},
        shown=[name for name, columns in explored["tables"].items() if any(columns.values())],
        sweeps=explored["sweeps"],
        images=images,
        planes=explored["planes"],
        classes=[(label, label) for label in range(classes)],
        transforms=TRANSFORMS,
        pictures=list(_pictures(explored, order)),
        lecture=lecture.published(study, results, tables["variants"], tables["comparisons"]),
        provenance=_listed(provenance),
        configuration={name: _configuration(study, name, provenance) for name in order},
        version=__version__,
        contents=explored,
        charts=charts.specifications(),
        library=_library(),
        script=joined(SCRIPTS),
    )


@functools.cache
def _library() -> str:
    """Return the JavaScript that draws charts; bundling it takes a second, and it is the same for all reports."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle(LIBRARY)
    return bundle


def _pictures(explored: Mapping[str, Any], order: Iterable[str]) -> Iterable[tuple[str, str, list[tuple[str, str]]]]:
    """Yield the kinds of pictures that are there: title, explanation, and name and variant of each, best first.

    Where the page shows how boundaries come about, it need not show the last ones again.
    """
    for kind, (title, explanation) in PICTURES.items():
        names = [name for name in order if not (kind == "boundaries" and name in explored["planes"])]
        found = [(f"{kind}/{name}", name) for name in names if f"{kind}/{name}" in explored["pictures"]]
        if found:
            yield title, explanation, found


def _listed(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what runs were made with, and the hashes of the data, as a table."""
    runs = ", ".join(f"{count} {status}" for status, count in facts["runs"].items())
    data = {f"data: {name}": f"{about['source']}, hash {about['data_hash']}" for name, about in facts["data"].items()}
    used = {name: ", ".join(values) for name, values in facts["runs_made_with"].items() if values}
    return {"runs": runs, **data, **used, "changed on the command line": facts["overrides"]}


def _configuration(study: Study, name: str, facts: Mapping[str, Any]) -> str:
    """Return a variant with all its keys as YAML, those of its base and of a sweep included."""
    variant = study.variants[name]
    own = {"dataset": variant.dataset, "seeds": variant.seeds, **(facts["specifications"][name] or {})}
    return yaml.safe_dump(own, sort_keys=False)
