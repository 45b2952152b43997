"""Measure how fast the product is, against what a user would pick instead: ``make bench``.

    python tests/benchmarks/bench.py [--only training,sweeps,...] [--data FOLDER] [--output results/benchmarks]

``search`` and ``gpu`` stand for all parts whose names begin with ``search-`` and ``gpu-``. The latter need a GPU.
``--rehearse`` tries both with the built-in digits and few steps, on any device. Searches take long: those in a table
from before are not run again.

Every part writes a CSV of single measurements; nothing is averaged there. ``summary.csv`` has a line for each claim
with its median, and ``benchmarks.svg`` the picture. The peers live in an environment of their own
(requirements/peers.lock). Timings of shared machines drift, so what is compared is measured in turn, and ratios are
taken pair by pair.
"""

import argparse
import contextlib
import csv
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import demo
import engines
import gpu
import job
import scale
import search
import startup
import sweeps

import data
import training
from mnist_hpc.errors import UserError
from mnist_hpc.files import provenance
from mnist_hpc.stages import convert
from mnist_hpc.study.datasets import BUILT_IN
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
}
# Names that stand for several parts, which do without peers if they have to, and which can be rehearsed.
GROUPS = {"search": search.PARTS, "gpu": gpu.PARTS}
WITH_PEERS = ("training", "sweeps")
THREADS = 2


def main() -> int:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join([*PARTS, "gpu"]), help="parts, by name")
    parser.add_argument("--data", type=Path, default=Path("results/mnist/data"), help="folder of train.h5 and test.h5")
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers/bin/python"), help="Python of the peers")
    parser.add_argument("--output", type=Path, default=Path("results/benchmarks"))
    parser.add_argument("--rehearse", action="store_true", help="try searches and the parts for a GPU, with few steps")
    parser.add_argument("--repetitions", type=int, help="most repetitions of a search, if not all")
    options = parser.parse_args()
    names = [part for name in options.only.split(",") for part in GROUPS.get(name, [name])]
    try:
        if unknown := set(names) - {*PARTS, *search.PARTS, *gpu.PARTS}:
            known = ", ".join([*PARTS, *GROUPS, *search.PARTS, *gpu.PARTS])
            raise UserError(f"--only: found {', '.join(unknown)}, expected some of {known}")
        if not (options.data / "train.h5").exists() and not options.rehearse:
            raise UserError(f"{options.data}/train.h5: not found; `make bench` makes it, MNIST_DIR says from what")
        if not options.peers.exists() and set(names) & set(WITH_PEERS):
            raise UserError(f"{options.peers}: not found; `make bench` makes it")
    except UserError as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 2
    # All contenders see the same processors.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    output = options.output / "rehearsal" if options.rehearse else options.output
    output.mkdir(parents=True, exist_ok=True)
    (output / "machine.json").write_text(json.dumps(machine(), indent=2) + "\n")
    for name in (name for name in names if name in PARTS and not options.rehearse):
        print(f"== {name}", flush=True)
        write(output / f"{name}.csv", PARTS[name].measure(options.data, options.peers, THREADS))
    with data_of(options) as data:
        for name in (name for name in names if name in search.PARTS):
            print(f"== {name}", flush=True)
            table = output / f"{name}.csv"
            rows = [] if options.rehearse else whole_rows(table)
            peers, limits = options.peers, {"rehearsal": options.rehearse, "repetitions": options.repetitions}
            write(table, search.measure(name, rows, data, peers, THREADS, **limits), rows)
        if chosen := [name for name in names if name in gpu.PARTS]:
            on_gpu(chosen, gpu.Bench(data, options.peers, THREADS, output.resolve(), options.rehearse))
    if not options.rehearse:
        import summary

        summary.write(output)
    return 0


@contextlib.contextmanager
def data_of(options: argparse.Namespace) -> Iterator[Path]:
    """Yield the folder of the data; in a rehearsal, one with the built-in digits."""
    if not options.rehearse:
        yield options.data.resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        convert.run("digits", "digits", BUILT_IN["digits"], Path(folder))
        yield Path(folder)


def on_gpu(names: Sequence[str], bench: gpu.Bench) -> None:
    """Run parts for a GPU, or rehearse them."""
    found = gpu.facts(THREADS)
    if not (bench.rehearsal or found["card"].startswith("GPU ")):
        print("gpu: not measured, TensorFlow sees no GPU; to try it on the CPU: bench.py --only gpu --rehearse")
        return
    for name in names:
        print(f"== {name}", flush=True)
        write(bench.output / f"{name}.csv", gpu.measure(name, bench, found))


def whole_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table from before, if there is one, without those that have an error."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [row for row in csv.DictReader(file) if not row["error"]]


def write(path: Path, rows: Iterable[Mapping[str, object]], before: Sequence[Mapping[str, object]] = ()) -> None:
    """Write a table, the whole of it after each row, so that a process that is killed leaves what it has measured.

    Rows of ``before`` come first.
    """
    table: list[Mapping[str, object]] = [*before]
    for row in rows:
        table.append(row)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in table for key in row)), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)


def machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    packages = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "h5py", "snakemake")
    found = ((distribution.metadata["Name"], distribution.version) for distribution in metadata.distributions())
    installed = {name.lower().replace("_", "-"): version for name, version in found}
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
