"""A sweep of 64 learning rates × 5 seeds of the regression: whole process, against what people write instead."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from processes import run

from mnist_hpc.study.specification import Study
from training import CONTENDERS, Contender, arrays

ROUNDS = 3
ROOT = Path(__file__).parents[2]
RATES, SEEDS = np.geomspace(0.005, 2, 64).round(5).tolist(), 5
TRAININGS = len(RATES) * SEEDS
# How many of the peers' trainings are run; the others would take as long.
TRIED = 10


def measure(data: Path, peers: Path, threads: int) -> list[dict[str, Any]]:
    """Return one row a measurement; ``seconds`` is that of all trainings, ``measured`` how many were run."""
    rows: list[dict[str, Any]] = []

    def add(contender: str, round_: int, seconds: float, measured: int) -> None:
        total = seconds * TRAININGS / measured
        row = {"contender": contender, "round": round_, "trainings": TRAININGS, "measured": measured}
        rows.append(row | {"seconds": total})
        print(f"{contender:28} {measured:4} in {seconds:7.2f} s, all {TRAININGS} in {total:8.1f} s", flush=True)

    with tempfile.TemporaryDirectory() as folder, arrays(data) as images:
        for round_ in range(ROUNDS):
            add("mnist-hpc sweep", round_, run(command(data, Path(folder), threads, round_)).seconds, TRAININGS)
            # A process that starts, trains once, and validates.
            one = f"echo | {sys.executable} {CONTENDERS / 'keras_fit.py'} regression {images} {threads}"
            add("Keras, one process each", round_, run(["sh", "-c", one]).seconds, 1)
            torch = Contender("PyTorch", "regression", images, peers, threads)
            torch.train()
            add("PyTorch, a loop", round_, sum(torch.train()["seconds"] for _ in range(TRIED)), TRIED)
            torch.close()
    return rows


def command(data: Path, folder: Path, threads: int, round_: int) -> list[str]:
    """Return the command of a sweep's job."""
    specification = Study.read(ROOT / "config.yaml").variants["regression"].specification | {"threads": threads}
    sweep = {"specification": specification, "grid": [["learning_rate", RATES]], "points": [*range(len(RATES))]}
    sweep |= {"seeds": SEEDS, "pack_mb": 1000}
    words = [sys.executable, "-m", "mnist_hpc", "sweep", "--data", str(data / "train.h5"), "--name", "rates"]
    words += ["--variant", "regression", "--sweep", json.dumps(sweep), "--points", str(folder / "points.csv")]
    words += ["--losses", str(folder / "losses.h5")]
    return [*words, "--state", str(folder / f"state-{round_}"), "--threads", str(threads)]
