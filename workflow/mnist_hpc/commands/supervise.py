"""Run the study inside the job of ``make node``, which calls this command."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.cluster import supervisor
from mnist_hpc.commands.node import pairs
from mnist_hpc.study.specification import Study


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_results(parser)
    options.add_gpu(parser)
    text = "how many processes may use GPUs at a time"
    parser.add_argument("--gpu-slots", type=options.count, required=True, help=text)


def run(config: Path, overrides: dict[str, Any], results: Path, require_gpu: int, gpu_slots: int) -> None:
    """Run Snakemake on the job's CPUs and GPUs, and exit with its code; raise UserError as ``supervisor.run``."""
    cores = os.environ.get("SLURM_CPUS_ON_NODE") or str(len(os.sched_getaffinity(0)))
    limits = [f"gpu_slot={gpu_slots}"]
    if memory := os.environ.get("SLURM_MEM_PER_NODE"):
        limits.append(f"mem_mb={memory}")
    python = (sys.executable, "-m")
    command = [*python, "mnist_hpc", "preload", *python, "snakemake", "--profile", "profiles/node", "--cores", cores]
    command += ["--set-resources", *(f"{rule}:require_gpu={require_gpu}" for rule in ("train", "sweep"))]
    command += ["--resources", *limits, *(["--config", *pairs(overrides)] if overrides else [])]
    sys.exit(supervisor.run(command, Study.read(config, overrides), results))
