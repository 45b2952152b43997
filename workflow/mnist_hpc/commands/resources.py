"""Write jobs.csv and resources.csv: the cost of each job, and of the jobs of each variant, from Slurm's accounting."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_hpc import options
from mnist_hpc.cluster import accounting
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import aggregate


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)
    parser.add_argument("--logs", type=Path, default=Path("logs/slurm"), help="folder of the logs of Slurm jobs")


def run(config: Path, overrides: dict[str, Any], results: Path, logs: Path) -> None:
    """Write both tables and print the second one; raise UserError if accounting has no job of the study."""
    study = Study.read(config, overrides)
    folder = results / study.dataset / "tables"
    jobs = accounting.starts(study, logs)
    runs = folder / "runs.csv"
    trained = pd.read_csv(runs).groupby("variant")["train_seconds"].sum() if runs.exists() else pd.Series(dtype=float)
    table = accounting.resources(jobs, trained)
    aggregate.write(jobs, folder / "jobs.csv")
    aggregate.write(table, folder / "resources.csv")
    print(table.drop(columns="dataset").round(3).to_string(index=False, na_rep="–"))
    hours = table["gpu_hours"].sum()
    print(f"{table['jobs'].sum()} jobs, {hours:.2f} GPU-hours; written to {folder / 'resources.csv'}")
