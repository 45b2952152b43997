"""Report what is done, stale, failed and missing, and how long the rest will take; run nothing."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_hpc import options
from mnist_hpc.cluster import attempts
from mnist_hpc.errors import UserError
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.plugins import events
from mnist_hpc.study.layout import HASHES
from mnist_hpc.study.specification import Study, Sweep
from mnist_hpc.tables import aggregate, collect, ranking, robustness
from mnist_hpc.tables.text import duration
from mnist_hpc.training import checkpoint
from mnist_hpc.training.models_file import read_models


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)


def run(config: Path, overrides: dict[str, Any], results: Path) -> None:
    """Print the status of a study; raise UserError if the config or a result cannot be read."""
    study = Study.read(config, overrides)
    identities = collect.identities(study, results, code_hash("stages.train"), code_hash("stages.evaluate"))
    table = overview(study, results, identities)
    print(table.drop(columns="seconds_left").to_string(index=False), "", sep="\n")
    data = {study.variants[name].dataset: found.get("data_hash") for name, found in identities.items()}
    swept = {name: _sweep(sweep, results, data[sweep.variant.dataset]) for name, sweep in study.sweeps.items()}
    lines = [f"sweep {name}: {text}" for name, text in swept.items()]
    lines += [""] if swept else []
    todo = table[["trained", "under way", "missing", "stale"]].sum(axis=1)
    if not todo.any() and all(text.startswith("ok") for text in swept.values()):
        gone = [file for file in study.files if not (results / file).exists()]
        stale = robustness.stale(study, results, identities, code_hash("stages.perturb"))
        if gone:
            lines.append(f"Missing files: {len(gone)}, first {gone[0]}; run again.")
        if stale:
            lines.append(f"Measurements on transformed images are stale in {stale} blocks; the next run repeats them.")
        if not gone and not stale:
            lines.append("Everything is there.")
    if todo.any():
        lines.append(f"{todo.sum()} of {sum(len(block.seeds) for block in study.blocks)} runs are left to do.")
    left = table["seconds_left"]
    if left.sum():
        lines.append(f"Estimated training time left: {duration(left.sum())}, one job after the other.")
    if unknown := int((left.isna() & (todo > 0)).sum()):
        lines.append(f"{unknown} variants with runs left have no recorded time.")
    if table["stale"].any():
        lines += filter(None, [events.outdated(study, results)])
        lines.append(
            "The next run repeats stale runs. If it says that there is nothing to be done, their results were copied "
            "here without .snakemake: delete their folders under runs/ first."
        )
    lines += _errors(study, results)
    locks = Path(".snakemake/locks")
    if locks.is_dir() and any(locks.iterdir()):
        lines.append(
            "This folder is locked: either a workflow is running here, or its main process was killed. In the latter "
            "case, run snakemake --unlock and start the workflow again."
        )
    print("\n".join(lines))


def overview(study: Study, results: Path, identities: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return one row per variant of the study.

    Columns: dataset, variant, status (as in variants.csv); the numbers of seeds that are ok, failed, stale, trained
    (not yet evaluated), under way (with a checkpoint) and missing; and seconds_left, the training time still needed
    according to the variant's recorded times, empty if there are none.
    """
    runs = collect.runs(study.blocks, results, identities)
    rows = []
    for name, group in runs.groupby("variant", sort=False):
        counts = group["status"].value_counts()
        absent = set(group.loc[group["status"] == "missing", "seed"])
        files = [results / block.folder / "models.h5" for block in study.blocks_of(name) if absent & set(block.seeds)]
        trained = absent & {seed for path in files for seed in _trained(path, identities[name])}
        folder = checkpoint.folder(results, study.variants[name].dataset, name)
        progress = _progress(folder, identities[name], absent - trained)
        todo = len(absent) - len(trained) - sum(progress.values()) + counts.get("stale", 0)
        row = {"dataset": study.variants[name].dataset, "variant": name}
        row |= {"status": aggregate.variant_status(group["status"])}
        row |= {status: int(counts.get(status, 0)) for status in ("ok", "failed", "stale")}
        row |= {"trained": len(trained), "under way": len(progress)}
        row |= {"missing": len(absent) - len(trained) - len(progress)}
        rows.append(row | {"seconds_left": todo * group["train_seconds"].mean() if todo else 0.0})
    return pd.DataFrame(rows)


def _trained(path: Path, identity: Mapping[str, str]) -> set[int]:
    """Return the seeds of a models file; none if it is not current or does not exist."""
    try:
        header, models = read_models(path)
    except UserError:
        return set()
    current = all(header[key] == value for key, value in identity.items() if key in header)
    return set(models) if current else set()


def _progress(folder: Path, identity: Mapping[str, str], seeds: set[int]) -> dict[int, float]:
    """Return the fraction of the steps done, for each of these seeds that has a current checkpoint."""
    if "data_hash" not in identity:
        return {}
    hashed = specification_hash({key: identity[key] for key in HASHES})
    found = {}
    for seed in seeds:
        place = checkpoint.Checkpoint(folder / hashed / f"seed-{seed}.h5")
        if saved := place.found(report=lambda _: None):
            found[seed] = saved[0]["step"] / saved[0]["steps"]
    return found


def _sweep(sweep: Sweep, results: Path, data_hash: str | None) -> str:
    """Return the status of a sweep (ok, stale or missing), and its best point if it has run."""
    try:
        best = ranking.read_best(results / sweep.folder / "best.json")
    except UserError:
        return "missing"
    values = ", ".join(f"{key} {value}" for key, value in best["values"].items())
    current = [specification_hash(json.loads(sweep.json)), data_hash, code_hash("stages.sweep")]
    return f"{'ok' if [best[key] for key in HASHES] == current else 'stale'}, best at {values}"


def _errors(study: Study, results: Path) -> list[str]:
    """Return how the last attempt of each job ended if it was an error."""
    found = []
    for work in study.works:
        for last in attempts.read(results / work.record)[-1:]:
            if last["end"] in ("error", "failed"):
                where = f"{last['host']}, job {last['job']}" if last["job"] else last["host"]
                found.append(f"{work}: {last['reason']} ({where})")
    return ["Errors of the last attempts:", *found] if found else []
