"""Read what the runs of a study measured; a run that is missing or stale has a row that says so."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study.layout import RUN_COLUMNS, Block
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import ranking

# The columns of runs.csv that are whole numbers, and all that are numbers.
WHOLE = ["parameters", "steps", "batch_size", "threads", "failed_step", "windows"]
NUMBERS = [
    *("test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "train_accuracy", "train_loss"),
    *("train_seconds", "images_per_second", "startup_seconds", "compile_seconds", *WHOLE),
]


def identities(study: Study, results: Path, train_hash: str, evaluate_hash: str) -> dict[str, dict[str, str]]:
    """Return by variant the hashes that a result of today's study carries.

    The hash of the data is there only if the data is, and "unreadable" if its file is damaged; the hash of the
    specification is "unknown" while the choice of a sweep is.
    """
    data = {}
    for dataset in study.datasets:
        path = results / dataset / "data" / "train.h5"
        if path.exists():
            try:
                with hdf5.reading(path, dataset=dataset) as file:
                    data[dataset] = {"data_hash": str(file.attrs["data_hash"])}
            except UserError:  # the next run replaces it, and everything made from it
                data[dataset] = {"data_hash": "unreadable"}
    code = {"code_hash": train_hash, "evaluation_code_hash": evaluate_hash}
    found = {}
    for name, variant in study.variants.items():
        try:
            specification = resolved(study, name, results)
        except UserError:  # the choice of a sweep is damaged; the next run replaces it
            specification = None
        known = {"spec_hash": specification_hash(specification) if specification else "unknown"}
        found[name] = known | data.get(variant.dataset, {}) | code
    return found


def resolved(study: Study, variant: str, results: Path) -> dict[str, Any] | None:
    """Return the specification of a variant with what its sweep found; None while that is not known."""
    specification = json.loads(study.variants[variant].json)
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
    """Return the rows of a block by seed; none if the file does not exist."""
    if not path.exists():
        return {}
    found = {row.get("seed"): row for row in csv_table.read(path)}
    if not {str(seed) for seed in block.seeds} <= found.keys():
        raise UserError(f"{path}: not all seeds have a row; delete the file and run the workflow again")
    rows = {seed: found[str(seed)] for seed in block.seeds}
    for row in rows.values():
        _check(path, row, block)
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
