"""Training on a GPU: what the study takes, whether the bits are equal, and how fast the peers are on the same card.

``make bench ONLY=gpu`` runs all parts, ``ONLY=gpu-peers,gpu-bits`` some of them. ``bench.py --rehearse`` runs them on a
CPU, with the built-in digits and a handful of steps; its numbers mean nothing. A piece that fails is a row with an
``error``, and the others go on.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gpu_peers
import gpu_profile
import processes
from pieces import Row, attempt, failed

from mnist_hpc.files import csv_table
from mnist_hpc.study import check
from mnist_hpc.training.models_file import read_models

ROOT = Path(__file__).parents[2]
PACKAGE = (sys.executable, "-m", "mnist_hpc")
INTERRUPTED = 75  # exit code
# Of each variant, so many seeds.
STUDIES = {"cnn-fast": 5, "cnn-minute": 2, "cnn-best": 2}
BITS = ("cnn-fast", "hidden-relu", "mlp-noise")
PROFILES = (("cnn", 200), ("cnn-minute", 0), ("hidden-relu", 0))
# What is recorded of a run, beside its variant and seed.
FACTS = ("status", "steps", "test_accuracy", "train_seconds", "compile_seconds", "startup_seconds", "dtype_policy")


@dataclass(frozen=True)
class Bench:
    """What all parts need."""

    data: Path  # folder of train.h5 and test.h5
    peers: Path  # Python of the peers
    threads: int
    output: Path  # folder of the tables
    rehearsal: bool  # on any device, with a handful of steps

    def train(self, variant: str, seeds: str, folder: Path, *, steps: int = 2) -> list[str]:
        """Return the workflow's command that writes ``models.h5`` into a folder; in a rehearsal it does ``steps``."""
        specification = check.load(ROOT / "config.yaml").variants[variant].specification
        if self.rehearsal:
            specification = {key: value for key, value in specification.items() if key != "epochs"} | {"steps": steps}
        return [
            *(*PACKAGE, "train", "--data", str(self.data / "train.h5"), "--variant", variant),
            *("--specification", json.dumps(specification), "--seeds", seeds, "--threads", str(self.threads)),
            *("--models", str(folder / "models.h5"), "--history", str(folder / "history.csv")),
            *("--gpu", "1", "--require-gpu", "0" if self.rehearsal else "1"),
        ]


def facts(threads: int) -> Row:
    """Return what TensorFlow computes on here, "GPU <model>" or "CPU <model>", as ``card``, and the versions of it."""
    code = (
        "import json; from mnist_hpc.training import device; "
        f"print(json.dumps({{'card': device.prepare({threads}), **device.versions()}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {key: found[key] for key in ("card", "driver", "cuda", "cudnn", "tensorflow")}


def process(command: Sequence[str]) -> Row:
    """Return wall time and peak memory of a process; raise RuntimeError if it fails."""
    return vars(processes.run(command, cwd=ROOT))


def studies(bench: Bench) -> Iterator[Row]:
    """Yield what the seeds of some variants take and reach, and the processes that train and evaluate them."""
    for variant, seeds in STUDIES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            train = bench.train(variant, f"0-{1 if bench.rehearsal else seeds - 1}", folder)
            evaluate = [*PACKAGE, "evaluate", "--data", str(bench.data / "test.h5"), "--threads", str(bench.threads)]
            evaluate += ["--models", str(folder / "models.h5"), "--metrics", str(folder / "metrics.csv"), "--gpu", "1"]
            evaluate += ["--predictions", str(folder / "predictions.h5")]
            rows = [attempt({"variant": variant, "what": "train"}, process, train)]
            if not rows[0]["error"]:
                rows.append(attempt({"variant": variant, "what": "evaluate"}, process, evaluate))
            yield from rows
            if not rows[-1]["error"]:
                for found in csv_table.read(folder / "metrics.csv"):
                    kept = {key: found[key] for key in FACTS}
                    yield attempt({"variant": variant, "what": f"seed {found['seed']}"}, dict, kept)


def bits(bench: Bench) -> Iterator[Row]:
    """Yield whether a training done twice, and one that was interrupted and resumed, end in the same weights."""
    for variant in BITS:
        with tempfile.TemporaryDirectory() as name:
            first, second, resumed = (Path(name) / run for run in ("first", "second", "resumed"))
            commands = [bench.train(variant, "0", folder, steps=40) for folder in (first, second, resumed)]
            row = attempt({"variant": variant, "comparison": "none: the first run"}, process, commands[0])
            yield row
            if not row["error"]:
                yield attempt({"variant": variant, "comparison": "run twice"}, repeated, commands[1], first, second)
                commands[2] += ["--state", str(resumed / "state")]
                row = {"variant": variant, "comparison": "interrupted and resumed"}
                yield attempt(row, interrupted, commands[2], first, resumed)


def repeated(command: Sequence[str], first: Path, second: Path) -> Row:
    """Train into a folder, and compare the models with those of another."""
    return process(command) | compared(first / "models.h5", second / "models.h5")


def interrupted(command: Sequence[str], first: Path, resumed: Path) -> Row:
    """Train, interrupt it after a third of the steps, resume it, and compare the models with those of another folder.

    Raise RuntimeError if it was not interrupted, or did not go on where it was.
    """
    training = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert training.stderr is not None
    line, sent = "", False
    for line in training.stderr:
        found = re.search(r": step (\d+) of (\d+)", line)
        if not sent and found and 3 * int(found[1]) >= int(found[2]):
            training.send_signal(signal.SIGTERM)
            sent = True
    if training.wait() != INTERRUPTED or not (found := re.search(r"step \d+ of \d+", line)):
        raise RuntimeError(f"it was to be interrupted; found exit code {training.returncode}: {line}")
    usage = process(command)
    (model,) = read_models(resumed / "models.h5")[1].values()
    if model.facts["windows"] != 2:
        raise RuntimeError(f"it was to go on in a second process; found {model.facts['windows']}")
    return usage | compared(first / "models.h5", resumed / "models.h5") | {"interrupted_at": found[0]}


def compared(one: Path, other: Path) -> Row:
    """Return whether all weights of two files of models have the same bits; raise RuntimeError if names differ."""
    left, right = (
        {
            f"{seed}/{name}": values
            for seed, model in read_models(path)[1].items()
            for name, values in model.weights.items()
        }
        for path in (one, other)
    )
    if not left or left.keys() != right.keys():
        raise RuntimeError(f"found other weights in {other} than in {one}, or none")
    different = [name for name in left if left[name].tobytes() != right[name].tobytes()]
    largest = max((float(abs(left[name] - right[name]).max()) for name in different), default=0.0)
    equal = "no" if different else "yes"
    return {"equal": equal, "arrays": len(left), "different": len(different), "largest_difference": largest}


def peers(bench: Bench) -> Iterator[Row]:
    """Yield a row a call of ours and of the peers, see gpu_peers.py."""
    return gpu_peers.measure(bench.data, bench.peers, bench.threads, rehearsal=bench.rehearsal)


def profile(bench: Bench) -> Iterator[Row]:
    """Yield the largest kernels of some trainings, see gpu_profile.py."""
    for variant, batch in PROFILES:
        kept = bench.output / f"gpu-profile-{variant}.xplane.pb"
        chosen = (20 if bench.rehearsal else batch, bench.data, bench.threads, int(bench.rehearsal), kept)
        command = [sys.executable, gpu_profile.__file__, variant, *map(str, chosen)]
        keys = {"variant": variant, "batch": batch or ""}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            yield attempt(keys, failed, RuntimeError(done.stderr))
        else:
            for row in json.loads(done.stdout.splitlines()[-1]):
                yield attempt(keys, dict, row)


def together(bench: Bench) -> Iterator[Row]:
    """Yield what a training takes alone, and what two take that share the card, and whether the bits are equal."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # two processes have the processors of two
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        alone, *both = (Path(name) / run for run in ("alone", "one", "other"))
        train = partial(bench.train, "cnn-fast", "0" if bench.rehearsal else "0-4")
        try:
            yield attempt({"variant": "cnn-fast", "processes": 1}, trained, train(alone), alone, alone)
            keys = {"variant": "cnn-fast", "processes": 2}
            yield from pool.map(lambda folder: attempt(keys, trained, train(folder), alone, folder), both)
        finally:
            os.sched_setaffinity(0, own)


def trained(command: Sequence[str], first: Path, folder: Path) -> Row:
    """Train into a folder; return what it took, and how the models compare with those of another folder."""
    usage = repeated(command, first, folder)
    models = read_models(folder / "models.h5")[1].values()
    return usage | {"train_seconds": sum(model.facts["train_seconds"] for model in models)}


PARTS = {f"gpu-{part.__name__}": part for part in (studies, bits, peers, profile, together)}


def measure(name: str, bench: Bench, machine: Row) -> Iterator[Row]:
    """Yield the rows of a part, each with the machine that they were measured on, as soon as they exist."""
    for row in PARTS[name](bench):
        yield row | machine | {"rehearsal": "not a measurement" if bench.rehearsal else ""}
