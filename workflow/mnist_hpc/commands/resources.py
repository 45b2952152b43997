"""Write jobs.csv and resources.csv: the cost of each job, and of the jobs of each variant, from Slurm's accounting."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_hpc import options
from mnist_hpc.cluster import accounting, slurm
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import aggregate
from mnist_hpc.tables.reading import read_table
from mnist_hpc.tables.text import counted


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)
    parser.add_argument("--logs", type=Path, default=slurm.LOGS, help="folder of the logs of Slurm jobs")
    text = "GPUs of each node, for a site that allocates whole nodes and does not count GPUs"
    parser.add_argument("--gpus-per-node", type=options.count, help=text)


def run(config: Path, overrides: dict[str, Any], results: Path, logs: Path, gpus_per_node: int | None) -> None:
    """Write both tables and print the second one; raise UserError if accounting has no job of the study."""
    study = Study.read(config, overrides)
    folder = results / study.dataset / "tables"
    jobs = accounting.starts(study, logs)
    path = folder / "runs.csv"
    runs = read_table(path) if path.exists() else pd.DataFrame(columns=["variant", "train_seconds", "device"])
    uncounted = not jobs["gpus"].any() and runs["device"].astype(str).str.startswith("GPU").any()
    if uncounted or gpus_per_node:
        jobs = accounting.with_gpus_of_nodes(jobs, gpus_per_node)
    table = accounting.resources(jobs, runs.groupby("variant")["train_seconds"].sum())
    aggregate.write(jobs, folder / "jobs.csv")
    aggregate.write(table, folder / "resources.csv")
    print(table.drop(columns="dataset").round(3).to_string(index=False, na_rep="–"))
    cost = f"{table['gpu_hours'].sum():.2f} GPU-hours"
    if uncounted and not gpus_per_node:
        cost = (
            f"{table['node_hours'].sum():.2f} node-hours (Slurm does not count the GPUs of this site; "
            "with GPUS=4, make resources takes each node to have four)"
        )
    print(f"{counted(table['jobs'].sum(), 'job')}, {cost}; written to {folder / 'resources.csv'}")
