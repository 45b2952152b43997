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
from mnist_hpc.plugins.events import outdated
from mnist_hpc.study.layout import Work
from mnist_hpc.study.specification import Study, Sweep
from mnist_hpc.tables import aggregate, collect, ranking
from mnist_hpc.tables.text import duration
from mnist_hpc.training import checkpoint
from mnist_hpc.training.models_file import read_models


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)


def run(config: Path, overrides: dict[str, Any], results: Path) -> None:
    """Print the status of a study; raises UserError if the config or a result cannot be read."""
    print(describe(Study.read(config, overrides), results))


def overview(study: Study, results: Path, identities: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Return one row per variant of the study.

    Columns: dataset, variant, status (as in variants.csv), then numbers of seeds: ok, failed, stale, trained (not
    yet evaluated), under way (a checkpoint is there), missing; last seconds_left, the training time still to come
    by the mean of the variant's recorded times, empty where none is recorded.
    """
    runs = collect.runs(study.blocks, results, identities)
    rows = []
    for name, group in runs.groupby("variant", sort=False):
        counts = group["status"].value_counts()
        absent = group.loc[group["status"] == "missing", "seed"]
        ready = set(absent) & {
            seed
            for block in study.blocks_of(name)
            if set(block.seeds) & set(absent)
            for seed in _trained(results / block.folder / "models.h5", identities[name])
        }
        progress = _progress(study.variants[name].dataset, name, results, identities[name], set(absent) - ready)
        todo = len(absent) - len(ready) - sum(progress.values()) + counts.get("stale", 0)
        recorded = group["train_seconds"].mean()
        rows.append(
            {
                "dataset": group["dataset"].iloc[0],
                "variant": name,
                "status": aggregate.variant_status(group["status"]),
                **{status: int(counts.get(status, 0)) for status in ("ok", "failed", "stale")},
                "trained": len(ready),
                "under way": len(progress),
                "missing": len(absent) - len(ready) - len(progress),
                "seconds_left": todo * recorded if todo else 0.0,
            }
        )
    return pd.DataFrame(rows)


def _trained(path: Path, identity: Mapping[str, str]) -> set[int]:
    """Return the seeds of a models file, if it is of today's study."""
    if not path.exists():
        return set()
    try:
        header, models = read_models(path)
    except UserError:
        return set()
    wanted = {key: value for key, value in identity.items() if key in header}
    return set(models) if all(header[key] == value for key, value in wanted.items()) else set()


def _progress(
    dataset: str, variant: str, results: Path, identity: Mapping[str, str], seeds: set[int]
) -> dict[int, float]:
    """Return for each of these seeds that has a checkpoint of today's study the fraction of its steps done."""
    if "data_hash" not in identity:
        return {}
    hashed = specification_hash({key: identity[key] for key in ("spec_hash", "data_hash", "code_hash")})
    found = {}
    for seed in seeds:
        place = checkpoint.Checkpoint(checkpoint.folder(results, dataset, variant) / hashed / f"seed-{seed}.h5")
        if saved := place.found(report=lambda _: None):
            found[seed] = saved[0]["step"] / saved[0]["steps"]
    return found


def describe(study: Study, results: Path) -> str:
    """Return the overview as text, with a summary of what is left."""
    identities = collect.identities(study, results, code_hash("stages.train"), code_hash("stages.evaluate"))
    table = overview(study, results, identities)
    left = table["seconds_left"]
    todo = table[["trained", "under way", "missing", "stale"]].sum(axis=1)
    unknown = int((left.isna() & (todo > 0)).sum())
    lines = [table.drop(columns="seconds_left").to_string(index=False), ""]
    data = {study.variants[name].dataset: found.get("data_hash") for name, found in identities.items()}
    swept = {name: _sweep(sweep, results, data[sweep.variant.dataset]) for name, sweep in study.sweeps.items()}
    lines += [*(f"sweep {name}: {text}" for name, text in swept.items()), *([""] if swept else [])]
    if not todo.any() and all(text.startswith("ok") for text in swept.values()):
        lines.append("Everything is there.")
    else:
        if todo.any():
            lines.append(f"{todo.sum()} of {sum(len(block.seeds) for block in study.blocks)} runs are left to do.")
        if left.sum():
            lines.append(f"Training left, judged by recorded times: {duration(left.sum())}, one job after the other.")
        if unknown:
            lines.append(f"{unknown} variants with runs left have no recorded time.")
    if table["stale"].any():
        lines += [text] if (text := outdated(study, results)) else []
        lines.append(
            "The next run repeats stale runs. If it says that there is nothing to be done, their results were copied "
            "here without .snakemake: delete their folders under runs/ first."
        )
    lines += _errors(study, results)
    if Path(".snakemake/locks").is_dir() and any(Path(".snakemake/locks").iterdir()):
        lines.append(
            "This folder is locked: a workflow is running here, or its main process died; "
            "in that case: snakemake --unlock, and run it again."
        )
    return "\n".join(lines)


def _sweep(sweep: Sweep, results: Path, data_hash: str | None) -> str:
    """Return the status of a sweep (ok, stale or missing), and the best point if there is one."""
    try:
        best = ranking.read_best(results / sweep.folder / "best.json")
        values = ", ".join(f"{key} {value}" for key, value in best["values"].items())
        found = [best[key] for key in ("spec_hash", "data_hash", "code_hash")]
    except UserError:
        return "missing"
    current = found == [specification_hash(json.loads(sweep.json)), data_hash, code_hash("stages.sweep")]
    return f"{'ok' if current else 'stale'}, best at {values}"


def _errors(study: Study, results: Path) -> list[str]:
    """Return how the last attempt of each job ended, where it was an error."""
    found = []
    works: list[Work] = [*study.blocks, *(part for sweep in study.sweeps.values() for part in sweep.parts)]
    for work in works:
        entries = attempts.read(results / work.record)
        if entries and entries[-1]["end"] in ("error", "failed"):
            last = entries[-1]
            where = f"{last['host']}, job {last['job']}" if last["job"] else last["host"]
            found.append(f"{work}: {last['reason']} ({where})")
    return ["Errors of the last attempts:", *found] if found else []
