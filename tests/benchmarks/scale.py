"""Studies of 100, 1,000 and 10,000 jobs: the dry run, and the tables."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from processes import run

from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.stages import convert
from mnist_hpc.study.datasets import BUILT_IN
from mnist_hpc.study.layout import PERTURBED_COLUMNS, RUN_COLUMNS
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect

JOBS = (100, 1_000, 10_000)
VARIANTS = 50
# Hashes of the code that the generated results are said to come from.
TRAIN, EVALUATE, PERTURB = "0123456789ab", "ba9876543210", "456789abcdef"
TRANSFORMED = 17  # transforms and levels of test images, for each seed
ROOT = Path(__file__).parents[2]


def measure(_data: Path, _peers: Path, _threads: int) -> Iterator[dict[str, Any]]:
    """Yield one row a process; the results that the tables are made of are generated."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("workflow", "profiles"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "Snakefile", root)
        convert.run("digits", "digits", BUILT_IN["digits"], root / "results/digits/data")
        for jobs in JOBS:
            variant = yaml.safe_load((ROOT / "config.yaml").read_text())["variants"]["regression"]
            study = {"dataset": "digits", "seeds": jobs // 2 // VARIANTS, "seeds_per_job": 1}
            study["variants"] = {f"variant-{number}": variant for number in range(VARIANTS)}
            (root / "config.yaml").write_text(yaml.safe_dump(study))
            snakemake = [str(Path(sys.executable).parent / "snakemake"), "--profile", "profiles/local"]
            commands = {
                "dry run": [*snakemake, "-n", "--quiet", "all"],
                "tables": [
                    *(sys.executable, "-m", "mnist_hpc", "tabulate"),
                    *("--train-hash", TRAIN, "--evaluate-hash", EVALUATE, "--perturb-hash", PERTURB),
                ],
            }
            for name, command in commands.items():
                if name == "tables":
                    generate(Study.read(root / "config.yaml"), root / "results")
                usage = run(command, cwd=root)
                print(f"{name:8} {jobs:6} jobs: {usage.seconds:6.2f} s, {usage.megabytes:5.0f} MB", flush=True)
                yield {"work": name, "jobs": jobs, "seconds": usage.seconds, "megabytes": usage.megabytes}
            shutil.rmtree(root / "results/digits/runs")


def generate(study: Study, results: Path) -> None:
    """Write what the tables are made of, for every block of a study."""
    identities = collect.identities(study, results, TRAIN, EVALUATE)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 10_000).astype(np.float32)  # as many as MNIST has
    for block in study.blocks:
        keys = {"dataset": block.dataset, "variant": block.variant, **identities[block.variant]}
        facts = {"status": "ok", "test_accuracy": 0.9, "test_loss": 0.3, "train_seconds": 1.0, "steps": 1000}
        facts |= {"validation_accuracy": 0.9, "validation_loss": 0.3}
        seeds = [keys | facts | {"seed": seed} for seed in block.seeds]
        csv_table.write(results / block.folder / "metrics.csv", RUN_COLUMNS, seeds)
        transformed = {"transform": "shift", "perturbation_code_hash": PERTURB}
        images = [seed | transformed | {"level": level} for seed in seeds for level in range(TRANSFORMED)]
        csv_table.write(results / block.perturbed, PERTURBED_COLUMNS, images)
        with hdf5.writing(results / block.folder / "predictions.h5", keys) as file:
            for seed in block.seeds:
                file.create_dataset(f"seed-{seed}/confusion", data=np.full((10, 10), 3))
                file.create_dataset(f"seed-{seed}/probabilities", data=probabilities, compression="gzip", shuffle=True)
            file.create_dataset("labels", data=np.arange(10_000) % 10, compression="gzip")
