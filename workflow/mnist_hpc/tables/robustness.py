"""Accuracy on transformed test images, from the files that ``perturb`` writes; nothing is chosen by it."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table
from mnist_hpc.study.layout import HASHES, PERTURBED_COLUMNS, Block
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect

KEYS = ["dataset", "variant", "transform", "level"]
MEASURED = ["test_accuracy", "test_loss"]
COLUMNS = [*KEYS, "n", *(f"{name}_{statistic}" for name in MEASURED for statistic in ("mean", "sd"))]

Identities = Mapping[str, Mapping[str, str]]


def table(study: Study, results: Path, runs: pd.DataFrame, identities: Identities, perturb_hash: str) -> pd.DataFrame:
    """Return one row per variant, transform and level (columns: ``COLUMNS``).

    Means and standard deviations (n - 1 in the denominator) are over the ``n`` seeds that are ok in the table of runs
    and whose measurements are current: made from the variant's hashes in ``identities``, by the code of
    ``perturb_hash``. Raise UserError if a file is damaged or belongs to another block.
    """
    good = runs[runs["status"] == "ok"]
    wanted = set(zip(good["variant"], good["seed"], strict=True))
    rows = []
    for block in study.blocks_of_images:
        if not _is_stale(found := _read(results, block), identities[block.variant], perturb_hash):
            rows += [row for row in found if (block.variant, int(row["seed"])) in wanted]
    measured = collect.frame(rows, PERTURBED_COLUMNS, ["level", *MEASURED])
    groups = measured.groupby(KEYS, sort=False)[MEASURED]
    found_table = groups.agg(["mean", "std"]).set_axis(COLUMNS[len(KEYS) + 1 :], axis=1)
    return found_table.assign(n=groups.size()).reset_index().reindex(columns=COLUMNS)


def stale(study: Study, results: Path, identities: Identities, perturb_hash: str) -> int:
    """Return how many blocks have measurements that the next run makes again."""
    return sum(
        _is_stale(_read(results, block), identities[block.variant], perturb_hash) for block in study.blocks_of_images
    )


def _read(results: Path, block: Block) -> list[dict[str, str]]:
    """Return the rows of a block; none if it was not measured yet, or all its trainings failed."""
    path = results / block.perturbed
    if not path.exists():
        return []
    rows = csv_table.read(path)
    if any((row.get("dataset"), row.get("variant")) != (block.dataset, block.variant) for row in rows):
        raise UserError(f"{path}: these are not the runs of {block}; delete the file and run the workflow again")
    return rows


def _is_stale(rows: list[dict[str, str]], identity: Mapping[str, str], perturb_hash: str) -> bool:
    """Return whether rows were made from other data, specification or code than today's."""
    current = {key: identity[key] for key in HASHES if key in identity} | {"perturbation_code_hash": perturb_hash}
    return any(row.get(key) != value for row in rows for key, value in current.items())
