"""Read the measurements of a study's runs; a missing or stale run has a row that says so."""

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

# The columns of runs.csv that are integers, and all that are numbers.
WHOLE = ["parameters", "steps", "batch_size", "threads", "failed_step", "windows"]
NUMBERS = [
    *("test_accuracy", "test_loss", "validation_accuracy", "validation_loss", "train_accuracy", "train_loss"),
    *("train_seconds", "images_per_second", "startup_seconds", "compile_seconds", "process_seconds", *WHOLE),
]


def identities(study: Study, results: Path, train_hash: str, evaluate_hash: str) -> dict[str, dict[str, str]]:
    """Return by variant the hashes that a current result has.

    There is a hash of the data only if the data exists; it is "unreadable" if the file is damaged. The hash of the
    specification is "unknown" until the sweep that it depends on has run.
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
        specification = resolved(study, name, results)
        known = {"spec_hash": specification_hash(specification) if specification else "unknown"}
        found[name] = known | data.get(variant.dataset, {}) | code
    return found


def resolved(study: Study, variant: str, results: Path) -> dict[str, Any] | None:
    """Return the specification of a variant with the values of its sweep.

    It is None if that sweep has not run, or its choice is damaged: the next run replaces it.
    """
    specification = json.loads(study.variants[variant].json)
    try:
        for file in study.choice(variant):
            specification = ranking.resolve(specification, results / file)
    except UserError:
        return None
    return specification


def runs(blocks: Iterable[Block], results: Path, identities: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return one row per variant and seed of the study, whether or not it has run.

    A row with other hashes than those of its variant in ``identities`` is stale. Raise UserError if a metrics file is
    damaged or belongs to another block.
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
    rows = {row.get("seed"): row for row in csv_table.read(path)}
    owners = {(row.get("dataset"), row.get("variant")) for row in rows.values()}
    if owners != {(block.dataset, block.variant)} or not {str(seed) for seed in block.seeds} <= rows.keys():
        raise UserError(f"{path}: these are not the runs of {block}; delete the file and run the workflow again")
    return {seed: rows[str(seed)] for seed in block.seeds}


def frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Return rows of text as a table with these columns, some of them float64; empty values are NaN."""
    return pd.DataFrame(rows, columns=columns).replace("", np.nan).astype(dict.fromkeys(numbers, float))
