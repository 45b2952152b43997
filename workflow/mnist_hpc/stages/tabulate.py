"""Aggregate the runs of a study into tables; missing and stale runs have a row that says so."""

import argparse
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.files import provenance
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import aggregate, study_tables
from mnist_hpc.training import checkpoint


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_results(parser)
    parser.add_argument("--train-hash", required=True, metavar="HASH", help="code hash of today's training")
    parser.add_argument("--evaluate-hash", required=True, metavar="HASH", help="code hash of today's evaluation")
    parser.add_argument("--perturb-hash", required=True, metavar="HASH", help="code hash of today's perturbation")


def run(
    config: Path, overrides: dict[str, Any], results: Path, train_hash: str, evaluate_hash: str, perturb_hash: str
) -> None:
    """Write all tables, print a summary, and remove the checkpoints of the runs that the tables hold."""
    begin = provenance.now()
    study = Study.read(config, overrides)
    tables = study_tables.computed(study, results, train_hash, evaluate_hash, perturb_hash)
    runs, variants = tables["runs"], tables["variants"]
    folder = results / study.dataset / "tables"
    for name, table in tables.items():
        aggregate.write(table, folder / f"{name}.csv")
    provenance.write(folder / "provenance.json", aggregate.provenance(study, results, runs) | {"started": begin})
    done = runs[runs["status"].isin(["ok", "failed"])]
    checkpoint.remove_finished(results, study.blocks, set(zip(done["variant"], done["seed"], strict=True)))
    shown = variants[["variant", "status", "n", "test_accuracy_mean", "test_accuracy_sd", "train_seconds_mean"]]
    print(shown.to_string(index=False, na_rep="–"))
