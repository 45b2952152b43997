"""What readers explore on the page, as JSON for its scripts: tables, learning curves, sweeps, mistakes, pictures."""

import base64
import contextlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from mnist_hpc import figures
from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table
from mnist_hpc.report.planes import planes
from mnist_hpc.study import grids
from mnist_hpc.study.layout import HASHES
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import mistakes, ranking, searches, text, time_spent
from mnist_hpc.tables.reading import read_jobs
from mnist_hpc.training.models_file import read_models

Tables = Mapping[str, pd.DataFrame]
Runs = set[tuple[str, int]]  # variant and seed of each

# Columns of history.csv that the page draws.
CURVE = ("step", "epoch", "train_seconds", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
FINALIST_COLUMNS = [
    *("sweep", "variant", "point", "values", "wins", "validation_loss_mean", "validation_loss_sd"),
    *("validation_accuracy_mean", "validation_accuracy_sd", "n", "steps"),
]
# Misclassified images of a variant in the gallery, and images in a row of the picture that holds them all.
MISTAKES, ACROSS = 100, 40


def contents(study: Study, results: Path, tables: Tables, known: Runs) -> dict[str, Any]:
    """Return all that the scripts of the page need.

    Args:
        study: The study.
        results: Folder of all results.
        tables: The tables of ``study_tables.computed``.
        known: What ``with_models`` returns.
    """
    jobs = results / study.dataset / "tables" / "jobs.csv"
    shown = {name: tables[name] for name in tables if name != "confusions"}
    shown["times"] = time_spent.parts(tables["runs"]).rename_axis("variant").reset_index()
    shown["finalists"] = finalists(study, results)
    shown["jobs"] = read_jobs(jobs) if jobs.exists() else pd.DataFrame()
    return {
        "dataset": study.dataset,
        "variants": {name: variant.dataset for name, variant in study.variants.items()},
        # JavaScript does not keep the order of names that are numbers.
        "order": {"variants": ranked(study, tables["variants"]), "sweeps": list(study.sweeps)},
        "tables": {name: by_column(table) for name, table in shown.items()},
        "curves": curves(study, results, known),
        "sweeps": searched(study, results),
        "confusions": confusions(tables["confusions"]),
        "mistakes": gallery(study, results, current(tables["runs"])),
        "pictures": pictures(study, results, known),
        "planes": planes(study, results, known),
    }


def current(runs: pd.DataFrame) -> Runs:
    """Return the runs whose results are current."""
    done = runs[runs["status"].isin(["ok", "failed"])]
    return set(zip(done["variant"], done["seed"], strict=True))


def with_models(study: Study, results: Path, runs: pd.DataFrame) -> Runs:
    """Return the current runs whose models.h5, and the learning curves written with it, are from the same training.

    Between a training and its evaluation, the rows of a block in ``runs`` are those of the training before.
    """
    of_run = {(row["variant"], row["seed"]): row for row in runs.to_dict("records")}
    known, found = current(runs), set()
    for block in study.blocks:
        path = results / block.folder / "models.h5"
        own = {(block.variant, seed) for seed in block.seeds} & known
        if own and path.exists():
            header, _ = read_models(path)
            found |= {run for run in own if all(header[key] == of_run[run][key] for key in HASHES)}
    return found


def ranked(study: Study, variants: pd.DataFrame) -> list[str]:
    """Return all variants: of the study's data set by validation accuracy, then the others in the order of the config.

    Those without results come last among the variants of their data set.
    """
    own = variants[variants["dataset"] == study.dataset]
    leading = [row["variant"] for row in text.leading(own.to_dict("records"), len(own))]
    rest = sorted(study.variants, key=lambda name: study.variants[name].dataset != study.dataset)
    return list(dict.fromkeys([*leading, *rest]))


def by_column(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Return a table as lists by column; empty cells are None."""
    return {name: [_plain(value) for value in table[name].tolist()] for name in table}


def curves(study: Study, results: Path, known: Runs) -> dict[str, dict[int, dict[str, list[float | None]]]]:
    """Return by variant and seed the learning curves of known runs, by column (``CURVE``)."""
    found: dict[str, dict[int, dict[str, list[float | None]]]] = {}
    for block in study.blocks:
        path = results / block.folder / "history.csv"
        seeds = [seed for seed in block.seeds if (block.variant, seed) in known]
        rows = csv_table.read(path) if seeds and path.exists() else []
        for seed in seeds:
            own = [row for row in rows if row["seed"] == str(seed)]
            columns = {name: [_rounded(float(row[name])) for row in own] for name in CURVE}
            found.setdefault(block.variant, {})[seed] = columns
    return found


def searched(study: Study, results: Path) -> dict[str, dict[str, Any]]:
    """Return of each sweep what it searched, and what it found in its rungs and after how many images.

    ``scales`` has the kind of axis of each key (see ``searches.scale``), ``names`` how values that are not numbers are
    written, in the order of the config. ``rungs`` has the rows of ``searches.rungs`` by column, ``found`` the pairs of
    ``searches.best_so_far``, ``edges`` the keys whose best value lies at the edge of what was tried.
    """
    made = {}
    for name, sweep in study.sweeps.items():
        path = results / sweep.folder / "points.csv"
        rows = ranking.read(path) if path.exists() else []
        rungs = searches.rungs(rows, sweep, study.facts(sweep.variant.dataset)[2])
        tried = [value for values in sweep.values.values() for value in values if type(value) not in (int, float)]
        made[name] = {
            "variant": sweep.variant.name,
            "kind": sweep.kind,
            "halved": bool(sweep.halving),
            "scales": {key: searches.scale(dimension) for key, dimension in sweep.dimensions.items()},
            "names": {grids.text(value): grids.label(value) for value in tried},
            "rungs": {key: [row[key] for row in rungs] for key in (rungs or [{}])[0]},
            "found": searches.best_so_far(rungs),
            "edges": [],
        }
        with contextlib.suppress(UserError):  # the top of the page says that the file is missing or damaged
            made[name]["edges"] = ranking.read_best(results / sweep.folder / "best.json")["at_the_edge"]
    return made


def finalists(study: Study, results: Path) -> pd.DataFrame:
    """Return a row per finalist of each sweep, best first, with the share of resampled sweeps that it wins."""
    rows = []
    for name, sweep in study.sweeps.items():
        path = results / sweep.folder / "best.json"
        with contextlib.suppress(UserError):  # the top of the page says that the file is missing or damaged
            for row in ranking.read_best(path).get("finalists", []):
                values = {key: grids.text(value) for key, value in row["values"].items()}
                rows.append({"sweep": name, "variant": sweep.variant.name, **row, "values": json.dumps(values)})
    return pd.DataFrame(rows, columns=FINALIST_COLUMNS)


def confusions(table: pd.DataFrame) -> dict[str, list[list[float]]]:
    """Return by variant the mean counts over its seeds; rows are classes, columns predicted classes."""
    found = {}
    for variant, group in table.groupby("variant", sort=False):
        counts = group.pivot_table(index="label", columns="predicted", values="images", aggfunc="mean")
        found[str(variant)] = counts.round(2).to_numpy().tolist()
    return found


def gallery(study: Study, results: Path, known: Runs) -> dict[str, Any]:
    """Return the test images that the seeds of a variant together misclassify, the hardest of each variant.

    All images are tiles of one picture; variants on images of another size than the study's are left out. ``variants``
    holds by variant a list of rows: tile, position in the test file, class, predicted class, its mean probability,
    number of seeds that misclassify it.
    """
    _, shape, _ = study.facts(study.dataset)
    tiles: list[np.ndarray] = []
    numbers: dict[tuple[str, int], int] = {}  # of tiles, by data set and position
    rows: dict[str, list[Sequence[float | None]]] = {}
    seeds, wrong = {}, {}
    errors: dict[str, dict[int, int]] = {}
    for variant in figures.of_images(study):
        dataset = study.variants[variant].dataset
        if study.facts(dataset)[1] != shape:
            continue
        blocks = [block for block in study.blocks_of(variant) if any((variant, seed) in known for seed in block.seeds)]
        files = (results / block.folder / "predictions.h5" for block in blocks)
        hard, seeds[variant], wrong[variant], total = mistakes.hardest(files, MISTAKES)
        errors.setdefault(dataset, {}).update(mistakes.label_errors(dataset, total))
        rows[variant] = []
        for image in hard:
            if image.predicted == image.label:
                continue
            if (dataset, image.index) not in numbers:
                numbers[dataset, image.index] = len(tiles)
                tiles.append(image.image)
            facts = (image.index, image.label, image.predicted, _rounded(image.confidence), image.wrong)
            rows[variant].append((numbers[dataset, image.index], *facts))
    return {
        "picture": picture(tiles),
        "across": ACROSS,
        "shape": shape[:2],
        "variants": rows,
        "seeds": seeds,
        "wrong": wrong,
        "label_errors": errors,
    }


def picture(tiles: Sequence[np.ndarray]) -> str:
    """Return images of one size side by side, ``ACROSS`` in a row, as a data URL of a PNG; "" if there are none."""
    if not tiles:
        return ""
    height, width = tiles[0].shape
    whole = np.zeros((height * math.ceil(len(tiles) / ACROSS), width * ACROSS), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = height * (place // ACROSS), width * (place % ACROSS)
        whole[top : top + height, left : left + width] = tile
    content = io.BytesIO()
    Image.fromarray(whole).save(content, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def pictures(study: Study, results: Path, known: Runs) -> dict[str, str]:
    """Return the figures that are shown as they are, as SVG, by kind and subject as "templates/regression"."""
    drawn = {"", *(variant for variant, _ in known)}
    found = {}
    for kind in figures.OF_THE_REPORT:
        for subject, file in figures.files(study, kind).items():
            if subject in drawn and (results / file).is_file():
                found[f"{kind}/{subject}".rstrip("/")] = (results / file).read_text(encoding="utf-8")
    return found


def _rounded(number: float) -> float | None:
    """Return a number with six significant digits, all that a curve shows; None if it is not finite."""
    return float(f"{number:.6g}") if math.isfinite(number) else None


def _plain(value: Any) -> Any:
    """Return a cell of a table as JSON has it."""
    if pd.isna(value) or (isinstance(value, float) and math.isinf(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
