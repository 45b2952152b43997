"""Report what is done, stale, failed and missing, and how long the rest will take; run nothing."""

import argparse
import contextlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_hpc import options
from mnist_hpc.cluster import attempts, budget, queue_text
from mnist_hpc.errors import UserError, reason
from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.plugins import events
from mnist_hpc.study.layout import HASHES, Block
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import aggregate, collect, robustness, sweep_status
from mnist_hpc.tables.text import counted, duration
from mnist_hpc.training import checkpoint
from mnist_hpc.training.models_file import read_models


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)


def run(config: Path, overrides: dict[str, Any], results: Path) -> None:
    """Print the status of a study; raise UserError if the config cannot be read."""
    study = Study.read(config, overrides)
    identities = collect.identities(study, results, code_hash("stages.train"), code_hash("stages.evaluate"))
    refused = unreadable(study, results, identities)
    table = overview(study, results, identities, refused)
    print(table.drop(columns=["seconds_left", *([] if refused else ["damaged"])]).to_string(index=False), "", sep="\n")
    swept = sweep_status.by_sweep(study, results, identities, code_hash("stages.sweep"))
    lines = [f"sweep {name}: {text}" for name, text in swept.items()]
    waiting = [study.sweeps[name] for name, text in swept.items() if not text.startswith("ok")]
    lines += budget.lines(study, results, waiting)
    lines += [""] if swept else []
    lines += refused.values()
    lines += unsound(path for path in results.glob("*/data/*.h5") if path.parent.parent.name in study.datasets)
    todo = table[["trained", "under way", "missing", "stale", "damaged"]].sum(axis=1)
    if not todo.any() and not waiting:
        lines += _beside(study, results, identities) or ["Everything is there."]
    lines += _left(study, results, table, todo)
    if errors := attempts.errors(study.works, results):
        lines += ["Errors of the last attempts:", *errors]
    locks = Path(".snakemake/locks")
    lines += queue_text.lines(Path.cwd(), locked=locks.is_dir() and any(locks.iterdir()))
    print("\n".join(lines))


def _beside(study: Study, results: Path, identities: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what is missing, damaged or stale of a study whose runs and sweeps are all there."""
    gone = [file for file in study.files if not (results / file).exists()]
    lines = [f"Missing files: {len(gone)}, first {gone[0]}; run again."] if gone else []
    lines += unsound(results / file for file in study.files if file not in gone)
    try:
        stale = robustness.stale(study, results, identities, code_hash("stages.perturb"))
    except (UserError, OSError) as error:
        return list(dict.fromkeys([*lines, reason(error)]))
    if stale:
        lines.append(f"Stale measurements on transformed images: {counted(stale, 'block')}; the next run repeats them.")
    return lines


def _left(study: Study, results: Path, table: pd.DataFrame, todo: pd.Series) -> list[str]:
    """Return what is left to do, and how long it takes."""
    lines = []
    if todo.any():
        lines.append(f"{todo.sum()} of {sum(len(block.seeds) for block in study.blocks)} runs are left to do.")
    left = table["seconds_left"]
    if left.sum():
        lines.append(f"Estimated training time left: {duration(left.sum())}, one job after the other.")
    if unknown := int((left.isna() & (todo > 0)).sum()):
        lines.append(f"No recorded time: {counted(unknown, 'variant')} with runs left.")
    if table["stale"].any():
        lines += filter(None, [events.outdated(study, results)])
        lines.append(
            "The next run repeats stale runs. If it says that there is nothing to be done, their results were copied "
            "here without .snakemake: delete their folders under runs/ first."
        )
    return lines


def unsound(paths: Iterable[Path]) -> list[str]:
    """Return what is wrong with files that have a checksum; nothing of other files."""
    found = []
    for path in paths:
        try:
            if path.suffix == ".h5":
                with hdf5.reading(path):
                    pass
            elif path.suffix == ".csv" and path.parent.name != "tables":
                csv_table.read(path)
        except (UserError, OSError) as error:
            found.append(reason(error))
    return found


def unreadable(study: Study, results: Path, identities: Mapping[str, Mapping[str, str]]) -> dict[Block, str]:
    """Return the blocks whose results are damaged or were changed by hand, with what is wrong."""
    found: dict[Block, str] = {}
    with contextlib.suppress(UserError, OSError):
        collect.runs(study.blocks, results, identities)
        return found
    for block in study.blocks:
        try:
            collect.runs([block], results, identities)
        except (UserError, OSError) as error:
            found[block] = reason(error)
    return found


def overview(
    study: Study,
    results: Path,
    identities: Mapping[str, Mapping[str, str]],
    unreadable: Collection[Block] = (),
) -> pd.DataFrame:
    """Return one row per variant of the study.

    Columns: dataset, variant, status (as in variants.csv); the numbers of seeds that are ok, failed, stale, trained
    (not yet evaluated), under way (with a checkpoint), missing, and damaged (those of unreadable blocks); and
    seconds_left, the training time still needed according to the variant's recorded times, empty if there are none.
    """
    runs = collect.runs([block for block in study.blocks if block not in unreadable], results, identities)
    rows = []
    for name in dict.fromkeys(block.variant for block in study.blocks):
        group = runs[runs["variant"] == name]
        damaged = sum(len(block.seeds) for block in unreadable if block.variant == name)
        counts = group["status"].value_counts()
        absent = set(group.loc[group["status"] == "missing", "seed"])
        files = [results / block.folder / "models.h5" for block in study.blocks_of(name) if absent & set(block.seeds)]
        trained = absent & {seed for path in files for seed in _trained(path, identities[name])}
        folder = checkpoint.folder(results, study.variants[name].dataset, name)
        progress = _progress(folder, identities[name], absent - trained)
        todo = len(absent) - len(trained) - sum(progress.values()) + counts.get("stale", 0) + damaged
        row: dict[str, Any] = {"dataset": study.variants[name].dataset, "variant": name}
        row |= {"status": "damaged" if damaged else aggregate.variant_status(group["status"])}
        row |= {status: int(counts.get(status, 0)) for status in ("ok", "failed", "stale")}
        row |= {"trained": len(trained), "under way": len(progress)}
        row |= {"missing": len(absent) - len(trained) - len(progress), "damaged": damaged}
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
    """Return the fraction of the steps done, for each of these seeds that has a current checkpoint.

    Of several, on different kinds of devices, the most advanced counts.
    """
    if "data_hash" not in identity:
        return {}
    hashed = specification_hash({key: identity[key] for key in HASHES})
    found: dict[int, float] = {}
    for seed in seeds:
        for path in (folder / hashed).glob(f"*/seed-{seed}.h5"):
            if saved := checkpoint.Checkpoint(path).found(report=lambda _: None):
                found[seed] = max(found.get(seed, 0.0), saved[0]["step"] / saved[0]["steps"])
    return found
