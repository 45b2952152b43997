"""Tables over the runs of a study: variants, sweeps, confusions, classes, and their provenance."""

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5
from mnist_hpc.files.atomic import atomic
from mnist_hpc.files.provenance import file_hash
from mnist_hpc.study import halving
from mnist_hpc.study.layout import Block
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import ranking
from mnist_hpc.tables.collect import resolved
from mnist_hpc.tables.statistics import (
    NO_INTERVAL,
    Interval,
    accuracy_interval,
    crossed_accuracy_interval,
    exact,
    interval,
)

# Returns which test images some seeds of a variant classify correctly, bool (seeds, N).
Correct = Callable[[str, Collection[int]], np.ndarray]

CLASS_COLUMNS = ["dataset", "variant", "seed", "class", "precision", "recall", "images"]
CONFUSION_COLUMNS = ["dataset", "variant", "seed", "label", "predicted", "images"]
SWEEP_COLUMNS = [
    *("dataset", "sweep", "variant", "rank", "point", "values", "rung", "steps", "n", "failed"),
    *("validation_loss_mean", "validation_loss_sd", "validation_accuracy_mean", "validation_accuracy_sd"),
    *("loss_difference_mean", "loss_difference_ci95_low", "loss_difference_ci95_high", "images", "train_seconds"),
]
# From best to worst; a variant has the worst status of its seeds.
STATUSES = ["ok", "failed", "stale", "missing"]


def variants(runs: pd.DataFrame, success: Mapping[str, float | None], correct: Correct) -> pd.DataFrame:
    """Return one row per variant: means and standard deviations (n - 1 in the denominator) over the seeds that are ok.

    Args:
        runs: Rows of runs.csv.
        success: By variant the test accuracy that a seed must reach to succeed, or None.
        correct: Returns which test images some seeds of a variant classify correctly, bool (seeds, N).
    """
    rows = []
    for (dataset, variant), group in runs.groupby(["dataset", "variant"], sort=False):
        good = group[group["status"] == "ok"]
        # A seed that failed has fewer steps.
        current = good if len(good) else group[group["status"] == "failed"]
        needed = success.get(variant)
        # The mean of seeds that succeed and seeds that do not is near neither, so it has no interval.
        own, other = _intervals(good, correct) if needed is None else (NO_INTERVAL, NO_INTERVAL)
        row = {
            "dataset": dataset,
            "variant": variant,
            "status": variant_status(group["status"]),
            "n": len(good),
            "test_accuracy_mean": good["test_accuracy"].mean(),
            "test_accuracy_sd": good["test_accuracy"].std(ddof=1),
            **_limits("test_accuracy", own),
            **_limits("test_accuracy_new_images", other),
            **_successes(group, needed),
        }
        row |= {f"{name}_mean": good[name].mean() for name in ("test_loss", "validation_accuracy", "validation_loss")}
        row |= {name: current[name].max() for name in ("parameters", "steps")}
        rows.append(row | {f"{name}_mean": good[name].mean() for name in ("train_seconds", "images_per_second")})
    return pd.DataFrame(rows).astype({"success": float, "successes": "Int64", "trials": "Int64"})


def _intervals(good: pd.DataFrame, correct: Correct) -> tuple[Interval, Interval]:
    """Return the intervals of the mean test accuracy for other seeds, and for other seeds and other images."""
    own = accuracy_interval(good["test_accuracy"].to_numpy(float))
    if len(good) < 2:
        return own, NO_INTERVAL
    return own, crossed_accuracy_interval(correct(good["variant"].iloc[0], tuple(good["seed"])))


def _successes(group: pd.DataFrame, needed: float | None) -> dict[str, Any]:
    """Return how many of the trainings of a variant that ended succeeded; one that diverged did not."""
    if needed is None:
        return {"success": None, "successes": None, "trials": None, **_limits("success", NO_INTERVAL)}
    ended = group[group["status"].isin(["ok", "failed"])]
    count, trials = int(((ended["status"] == "ok") & (ended["test_accuracy"] >= needed)).sum()), len(ended)
    return {"success": needed, "successes": count, "trials": trials, **_limits("success", exact(count, trials))}


def _limits(name: str, found: Interval) -> dict[str, float]:
    return {f"{name}_ci95_low": found[0], f"{name}_ci95_high": found[1]}


def variant_status(statuses: pd.Series) -> str:
    """Return the worst status of a variant's seeds, or "incomplete-seeds" if some of them are missing, but not all."""
    if 0 < (statuses == "missing").sum() < len(statuses):
        return "incomplete-seeds"
    return max(statuses, key=STATUSES.index)


def sweeps(study: Study, results: Path) -> pd.DataFrame:
    """Return one row per point of each sweep, best first (columns: ``SWEEP_COLUMNS``); none for a sweep not yet run.

    ``values`` are those of its keys, as JSON. ``rank`` 1 has the lowest validation loss, mean over seeds;
    variants with ``from_sweep`` use its values. ``loss_difference_*`` are of validation loss, point minus rank 1, over
    the seeds that are ok in both.
    """
    rows = []
    for name, sweep in study.sweeps.items():
        path = results / sweep.folder / "points.csv"
        if not path.exists():
            continue
        keys = {"dataset": sweep.variant.dataset, "sweep": name, "variant": sweep.variant.name}
        trained = ranking.read(path)
        ranked, losses = halving.rank(trained), ranking.losses(trained)
        # A stale sweep may lack a key.
        keys_there = [key for key in sweep.dimensions if key in trained[0]]
        values, costs = ranking.values(trained, keys_there), ranking.costs(trained)
        for rank, row in enumerate(ranked, start=1):
            point, rung = row["point"], row["rung"]
            # With the first one where both were: a point that was dropped has no losses of its later rungs.
            difference = _loss_difference(losses[point, rung], losses[ranked[0]["point"], rung]) if rank > 1 else {}
            rows.append(
                {**keys, "rank": rank, "values": json.dumps(values[point]), **row, **costs[point], **difference}
            )
    return pd.DataFrame(rows, columns=SWEEP_COLUMNS)


def _loss_difference(losses: Mapping[str, float], lowest: Mapping[str, float]) -> dict[str, float]:
    """Return mean and interval of the paired differences of losses by seed."""
    differences = np.array([losses[seed] - lowest[seed] for seed in losses if seed in lowest])
    if not len(differences):
        return {}
    return {"loss_difference_mean": float(differences.mean()), **_limits("loss_difference", interval(differences))}


def confusions(runs: pd.DataFrame, blocks: Iterable[Block], results: Path) -> pd.DataFrame:
    """Return how many test images of each class (``label``) each run classified as each class (``predicted``)."""
    good = runs[runs["status"] == "ok"].set_index(["variant", "seed"])
    parts = []
    for block in blocks:
        seeds = [seed for seed in block.seeds if (block.variant, seed) in good.index]
        if not seeds:
            continue
        place = results / block.folder / "predictions.h5"
        hashes = good.loc[(block.variant, seeds[0]), ["spec_hash", "data_hash"]].to_dict()
        with hdf5.reading(place, dataset=block.dataset, variant=block.variant, **hashes) as file:
            for seed in seeds:
                counts = file[f"seed-{seed}/confusion"][()]
                label, predicted = np.indices(counts.shape).reshape(2, -1)
                columns = (block.dataset, block.variant, seed, label, predicted, counts.ravel())
                parts.append(pd.DataFrame(dict(zip(CONFUSION_COLUMNS, columns, strict=True))))
    return pd.concat(parts) if parts else pd.DataFrame(columns=CONFUSION_COLUMNS)


def classes(confusions: pd.DataFrame) -> pd.DataFrame:
    """Return precision (empty if never predicted), recall and number of test images of each class in each run."""
    table = confusions.rename(columns={"label": "class"})
    keys = ["dataset", "variant", "seed", "class"]
    correct = table[table["class"] == table["predicted"]].set_index(keys)["images"]
    actual = table.groupby(keys, sort=False)["images"].sum()
    predicted = table.groupby([*keys[:-1], "predicted"], sort=False)["images"].sum().rename_axis(keys)
    found = pd.DataFrame({"precision": correct / predicted, "recall": correct / actual, "images": actual})
    return found.reset_index().reindex(columns=CLASS_COLUMNS)


def provenance(study: Study, results: Path, runs: pd.DataFrame) -> dict[str, Any]:
    """Return what the tables of a study were made from: inputs with their hashes, data, devices, versions."""
    data = {}
    for dataset in study.datasets:
        path = results / dataset / "data" / "train.h5"
        if path.exists():
            # The next run replaces a damaged file.
            with contextlib.suppress(UserError), hdf5.reading(path) as file:
                data[dataset] = {key: str(value) for key, value in file.attrs.items()}
    present = runs[runs["status"] != "missing"]
    seen = ["device", "threads", "host", "commit", "version", "python", "tensorflow", "keras", "numpy"]
    seen += ["driver", "cuda", "cudnn", "settings"]
    metrics = [f"{block.folder}/metrics.csv" for block in study.blocks]
    return {
        "dataset": study.dataset,
        "overrides": study.overrides,
        "specifications": {name: resolved(study, name, results) for name in study.variants},
        "inputs": {file: file_hash(results / file) for file in metrics},
        "data": data,
        "runs": {status: int(count) for status, count in runs["status"].value_counts().items()},
        "runs_made_with": {name: sorted(present[name].dropna().astype(str).unique()) for name in seen},
        "runs_started": present["started"].dropna().min() if len(present) else None,
        "runs_finished": present["finished"].dropna().max() if len(present) else None,
    }


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; numbers keep every digit they were computed with."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)
