"""Measure how fast the product is, against what a user would pick instead: ``make bench``.

    python tests/benchmarks/bench.py [--only training,sweeps,...] [--data train.h5] [--output results/benchmarks]

Every part writes a CSV of single measurements; nothing is averaged there. ``summary.csv`` has a line for each claim
with its median, and ``benchmarks.svg`` the picture. The peers live in an environment of their own
(requirements/peers.lock). Timings of shared machines drift, so what is compared is measured in turn, and ratios are
taken pair by pair.
"""

import argparse
import csv
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import demo
import engines
import gpu
import job
import scale
import startup
import sweeps

import data
import training
from mnist_hpc.errors import UserError
from mnist_hpc.files import provenance
from mnist_hpc.training import device

PARTS = {
    "data": data,
    "startup": startup,
    "demo": demo,
    "training": training,
    "engines": engines,
    "job": job,
    "sweeps": sweeps,
    "scale": scale,
    "gpu": gpu,
}
THREADS = 2


def main() -> int:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by name")
    parser.add_argument("--data", type=Path, default=Path("results/mnist/data"), help="folder of train.h5 and test.h5")
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers/bin/python"), help="Python of the peers")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks"))
    options = parser.parse_args()
    names = options.only.split(",")
    try:
        if unknown := set(names) - set(PARTS):
            raise UserError(f"--only: found {', '.join(unknown)}, expected some of {', '.join(PARTS)}")
        if not (options.data / "train.h5").exists():
            raise UserError(f"{options.data}/train.h5: not found; `make bench` makes it, MNIST_DIR says from what")
        if not options.peers.exists():
            raise UserError(f"{options.peers}: not found; `make bench` makes it")
    except UserError as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 2
    # All contenders see the same processors.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "machine.json").write_text(json.dumps(machine(), indent=2) + "\n")
    for name in names:
        print(f"== {name}", flush=True)
        rows = PARTS[name].measure(options.data, options.peers, THREADS)
        with (options.output / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    import summary

    summary.write(options.output)
    return 0


def machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    packages = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "h5py", "snakemake")
    installed = {distribution.metadata["Name"]: distribution.version for distribution in metadata.distributions()}
    return {
        "processor": device.processor(),
        "cores": THREADS,
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "commit": provenance.commit(),
        "versions": {name: installed[name] for name in packages if name in installed},
    }


if __name__ == "__main__":
    sys.exit(main())
