"""Aggregate the runs of a study into tables; a run that is missing or stale has a row that says so."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc import grids, metrics, ranking, storage
from mnist_hpc.comparisons import interval
from mnist_hpc.errors import UserError
from mnist_hpc.jobs import Block
from mnist_hpc.metrics import CHECKSUM, RUN_COLUMNS
from mnist_hpc.provenance import code_hash, file_hash, specification_hash
from mnist_hpc.specification import Study

CLASS_COLUMNS = ["dataset", "variant", "seed", "class", "precision", "recall", "images"]
CONFUSION_COLUMNS = ["dataset", "variant", "seed", "label", "predicted", "images"]
SWEEP_COLUMNS = [
    *("dataset", "sweep", "variant", "rank", "point", "values", "n", "failed"),
    *("validation_loss_mean", "validation_loss_sd", "validation_accuracy_mean", "validation_accuracy_sd"),
]
# The columns of runs.csv that are whole numbers, and all that are numbers.
WHOLE = ["parameters", "steps", "batch_size", "threads", "failed_step", "windows"]
NUMBERS = [
    *("test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "train_accuracy", "train_loss"),
    *("train_seconds", "images_per_second", "startup_seconds", "compile_seconds", *WHOLE),
]
# From good to bad; a variant is as bad as the worst of its seeds.
STATUSES = ["ok", "failed", "stale", "missing"]


def identities(study: Study, results: Path) -> dict[str, dict[str, str]]:
    """Return by variant the hashes that a result of today's study carries; that of the data only if it is there."""
    data = {}
    for dataset in study.datasets:
        path = results / dataset / "data" / "train.h5"
        if path.exists():
            try:
                with storage.reading(path, dataset=dataset) as file:
                    data[dataset] = {"data_hash": str(file.attrs["data_hash"])}
            except UserError:  # of an earlier version, or damaged: made anew by the next run, and all that follows
                data[dataset] = {"data_hash": "unreadable"}
    code = {"code_hash": code_hash("train"), "evaluation_code_hash": code_hash("evaluate")}
    found = {}
    for name, variant in study.variants.items():
        try:
            specification = resolved(study, name, results)
        except UserError:  # the choice of a sweep, as the data above
            specification = None
        known = {"spec_hash": specification_hash(specification) if specification else "unknown"}
        found[name] = known | data.get(variant.dataset, {}) | code
    return found


def resolved(study: Study, variant: str, results: Path) -> dict[str, Any] | None:
    """Return the specification of a variant with what its sweep found; None while that is not known."""
    specification = study.variants[variant].specification
    for file in study.choice(variant):
        if not (results / file).exists():
            return None
        specification = ranking.resolve(specification, results / file)
    return specification


def runs(blocks: Iterable[Block], results: Path, identities: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return one row per variant and seed of the study, whether it has run or not.

    Args:
        blocks: of the study.
        results: the folder ``results``.
        identities: by variant, the hashes that a result of today's study carries; a row that differs is stale.

    Raises:
        UserError: a metrics file is not as an evaluation left it.
    """
    rows = []
    for block in blocks:
        found = _metrics(results / block.folder / "metrics.csv", block)
        wanted = identities[block.variant]
        for seed in block.seeds:
            row = {"dataset": block.dataset, "variant": block.variant, "status": "missing"} | found.get(seed, {})
            if seed in found and any(row.get(key) != value for key, value in wanted.items()):
                row["status"] = "stale"
            rows.append(row | {"seed": seed})
    return frame(rows, RUN_COLUMNS, NUMBERS).astype(dict.fromkeys(WHOLE, "Int64"))


def _metrics(path: Path, block: Block) -> dict[int, dict[str, str]]:
    """Return the rows of a block by seed; none if the file is missing, only that they are stale without checksum."""
    if not path.exists():
        return {}
    found = {row.get("seed"): row for row in metrics.read(path, earlier=True)}
    if not {str(seed) for seed in block.seeds} <= found.keys():
        raise UserError(f"{path}: not all seeds have a row; delete the file and run the workflow again")
    rows = {seed: found[str(seed)] for seed in block.seeds}
    for seed, row in rows.items():
        if CHECKSUM in row:
            _check(path, row, block)
        else:  # of an earlier version
            rows[seed] = {"status": "stale"}
    return rows


def _check(path: Path, row: Mapping[str, str], block: Block) -> None:
    """Raise UserError if a row is of another block, or a value in it is none that evaluation writes."""
    for key, expected in (("dataset", block.dataset), ("variant", block.variant)):
        if row.get(key) != expected:
            raise UserError(f"{path}: it is of {key} {row.get(key)}, expected {expected}; delete it, and run again")
    try:
        numbers = {name: float(row[name]) for name in NUMBERS if row.get(name)}
        whole = all(numbers.get(name, 0.0).is_integer() and numbers.get(name, 0.0) < 2**63 for name in WHOLE)
        too_large = any(value > 1 for name, value in numbers.items() if name.endswith("_accuracy"))
        good = whole and not too_large and not any(value < 0 for value in numbers.values())
    except ValueError:
        good = False
    if not good or row.get("status") not in ("ok", "failed"):
        raise UserError(f"{path}: a value in it is none that evaluation writes; delete it, and run again")


def frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Return rows of text as a table: these columns, some of them float64; NaN for what is empty."""
    return pd.DataFrame(rows, columns=columns).replace("", np.nan).astype(dict.fromkeys(numbers, float))


def variants(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per variant: count, mean, standard deviation and 95 % interval over the seeds that are ok.

    The interval is mean ± t(0.975, n - 1) × sd / √n (Student); sd has n - 1 in the denominator. Both are empty
    for fewer than two seeds. ``n`` counts the seeds behind the mean.
    """
    rows = []
    for (dataset, variant), group in runs.groupby(["dataset", "variant"], sort=False):
        good = group[group["status"] == "ok"]
        low, high = interval(good["test_accuracy"].to_numpy(float))
        rows.append(
            {
                "dataset": dataset,
                "variant": variant,
                "status": variant_status(group["status"]),
                "n": len(good),
                "test_accuracy_mean": good["test_accuracy"].mean(),
                "test_accuracy_sd": good["test_accuracy"].std(ddof=1),
                "test_accuracy_ci95_low": low,
                "test_accuracy_ci95_high": high,
                "test_loss_mean": good["test_loss"].mean(),
                "validation_accuracy_mean": good["validation_accuracy"].mean(),
                "validation_loss_mean": good["validation_loss"].mean(),
                "parameters": group["parameters"].max(),
                "steps": group["steps"].max(),
                "train_seconds_mean": good["train_seconds"].mean(),
                "images_per_second_mean": good["images_per_second"].mean(),
            }
        )
    return pd.DataFrame(rows)


def variant_status(statuses: pd.Series) -> str:
    """Return the worst status of a variant's seeds; "incomplete-seeds" if some, but not all, are missing."""
    missing = statuses == "missing"
    if missing.any() and not missing.all():
        return "incomplete-seeds"
    return max(statuses, key=STATUSES.index)


def sweeps(study: Study, results: Path) -> pd.DataFrame:
    """Return one row per point of each sweep, best first (columns: ``SWEEP_COLUMNS``); none for one that has not run.

    ``values`` are those of the grid's keys, as JSON; ``rank`` 1 is the lowest validation loss, mean over seeds; the
    point of rank 1 is what a variant with ``from_sweep`` takes over.
    """
    rows = []
    for name, sweep in study.sweeps.items():
        path = results / sweep.folder / "points.csv"
        if not path.exists():
            continue
        points = grids.points(sweep.variant.specification, sweep.grid)
        keys = {"dataset": sweep.variant.dataset, "sweep": name, "variant": sweep.variant.name}
        for rank, row in enumerate(ranking.rank(ranking.read(path)), start=1):
            values = {key: grids.text(value) for key, value in points[row["point"]].values.items()}
            rows.append({**keys, "rank": rank, "values": json.dumps(values), **row})
    return pd.DataFrame(rows, columns=SWEEP_COLUMNS)


def confusions(runs: pd.DataFrame, blocks: Iterable[Block], results: Path) -> pd.DataFrame:
    """Return how many test images of each class (``label``) each run read as which (``predicted``)."""
    shown = set(zip(*(runs.loc[runs["status"] == "ok", key] for key in ("variant", "seed")), strict=True))
    parts = []
    for block in blocks:
        seeds = [seed for seed in block.seeds if (block.variant, seed) in shown]
        if not seeds:
            continue
        place = results / block.folder / "predictions.h5"
        with storage.reading(place, dataset=block.dataset, variant=block.variant) as file:
            for seed in seeds:
                counts = file[f"seed-{seed}/confusion"][()]
                label, predicted = np.indices(counts.shape).reshape(2, -1)
                part = {"label": label, "predicted": predicted, "images": counts.ravel()}
                keys = {"dataset": block.dataset, "variant": block.variant, "seed": seed}
                parts.append(pd.DataFrame({**keys, **part}))
    return pd.concat(parts) if parts else pd.DataFrame(columns=CONFUSION_COLUMNS)


def classes(confusions: pd.DataFrame) -> pd.DataFrame:
    """Return precision and recall of each class in each run, and how many test images the class has.

    Precision is empty for a class that was never predicted.
    """
    keys = ["dataset", "variant", "seed"]
    right = confusions[confusions["label"] == confusions["predicted"]].set_index([*keys, "label"])["images"]
    actual = confusions.groupby([*keys, "label"], sort=False)["images"].sum()
    predicted = confusions.groupby([*keys, "predicted"], sort=False)["images"].sum()
    predicted.index = predicted.index.rename([*keys, "label"])
    table = pd.DataFrame({"precision": right / predicted, "recall": right / actual, "images": actual})
    return table.reset_index().rename(columns={"label": "class"}).reindex(columns=CLASS_COLUMNS)


def provenance(study: Study, results: Path, runs: pd.DataFrame) -> dict[str, Any]:
    """Return what the tables of a study were made from: inputs with their hashes, data, devices, versions."""
    data = {}
    for dataset in study.datasets:
        path = results / dataset / "data" / "train.h5"
        if path.exists():
            with storage.reading(path) as file:
                data[dataset] = {key: str(value) for key, value in file.attrs.items()}
    present = runs[runs["status"] != "missing"]
    seen = ["device", "threads", "host", "commit", "version", "python", "tensorflow", "keras", "numpy"]
    return {
        "dataset": study.dataset,
        "overrides": study.overrides,
        "specifications": {name: resolved(study, name, results) for name in study.variants},
        "inputs": {
            f"{block.folder}/metrics.csv": file_hash(results / block.folder / "metrics.csv") for block in study.blocks
        },
        "data": data,
        "runs": {status: int(count) for status, count in runs["status"].value_counts().items()},
        "runs_made_with": {name: sorted(present[name].dropna().astype(str).unique()) for name in seen},
        "runs_started": present["started"].dropna().min() if len(present) else None,
        "runs_finished": present["finished"].dropna().max() if len(present) else None,
    }


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; accuracies, losses and times keep every digit they were computed with."""
    with storage.atomic(path) as temporary:
        table.to_csv(temporary, index=False)
