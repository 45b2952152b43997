"""Training on a GPU, where there is one: images a second, and which share of the card's peak that is."""

import subprocess
from pathlib import Path
from typing import Any

from contenders.protocol import WORKLOADS

from training import Contender, arrays

# Forward and backward through the lecture's CNN, FLOP an image.
FLOP = 83e6
# Dense peaks in the precision used, TFLOP/s, by the makers' data sheets: bfloat16 with float32 sums; V100: float32.
PEAKS = {"V100": 15.7, "A40": 150, "L40S": 362, "A100": 312, "H100": 989, "H200": 989, "GH200": 989}
ROUNDS = 5


def measure(data: Path, peers: Path, threads: int) -> list[dict[str, Any]]:
    """Return one row a call after the first; one row that says so where there is no GPU."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        card = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0].strip()
    except (OSError, subprocess.CalledProcessError, IndexError):
        print("no GPU here: not measured", flush=True)
        return [{"card": "", "workload": "not measured", "seconds": "", "images_per_second": "", "share_of_peak": ""}]
    peak = next((value * 1e12 for name, value in PEAKS.items() if name in card), float("nan"))
    rows: list[dict[str, Any]] = []
    with arrays(data) as path:
        for workload in (name for name, one in WORKLOADS.items() if one.net == "cnn"):
            images = WORKLOADS[workload].images
            contender = Contender("mnist-hpc", workload, path, peers, threads)
            contender.train()
            for _ in range(ROUNDS):
                seconds = contender.train()["seconds"]
                row = {"card": card, "workload": workload, "seconds": seconds, "images_per_second": images / seconds}
                rows.append(row | {"share_of_peak": images / seconds * FLOP / peak})
            contender.close()
            print(f"{card} {workload}: {images / seconds:,.0f} images/s", flush=True)
    return rows
