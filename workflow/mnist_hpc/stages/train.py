"""Train a block of seeds of one variant; continue where an earlier process was interrupted."""

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.cluster import attempts
from mnist_hpc.console import say
from mnist_hpc.data.splits import Split, read_training
from mnist_hpc.files import csv_table, provenance
from mnist_hpc.stages import BEGIN
from mnist_hpc.study.layout import HISTORY_COLUMNS
from mnist_hpc.tables import ranking
from mnist_hpc.training import device, signals
from mnist_hpc.training.checkpoint import Checkpoint
from mnist_hpc.training.models_file import Model, write_models


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    parser.add_argument("--data", type=Path, required=True, help="train.h5")
    parser.add_argument("--variant", required=True, help="name of the variant")
    parser.add_argument(
        "--specification", type=options.json_value, required=True, metavar="JSON", help="layers, loss, optimizer, ..."
    )
    parser.add_argument("--choice", type=Path, nargs="?", help="best.json of a sweep, whose values complete it")
    parser.add_argument("--seeds", type=options.seeds, required=True, metavar="FIRST-LAST", help="as 0-4")
    parser.add_argument("--models", type=Path, required=True, help="models.h5 to write")
    parser.add_argument("--history", type=Path, required=True, help="history.csv to write")
    parser.add_argument("--state", type=Path, help="folder for checkpoints; without it an interruption loses the run")
    options.add_training(parser)


def run(
    data: Path,
    variant: str,
    specification: dict[str, Any],
    choice: Path | None,
    seeds: range,
    models: Path,
    history: Path,
    state: Path | None,
    checkpoint_seconds: float,
    threads: int,
    require_gpu: int,
    code_hash: str,
) -> None:
    """Train the seeds one after the other and write their models and learning curves.

    Raises:
        UserError: a file cannot be read, or a GPU is required and none is visible.
        Interrupted: a signal asked to stop; what was done is saved under ``state``.
    """
    attributes, train, validation = read_training(data)
    if choice:
        specification = ranking.resolve(specification, choice)
    hashes = provenance.identity(specification, attributes["data_hash"], code_hash)
    hardware = device.prepare(threads, require_gpu=bool(require_gpu))
    say(f"{variant}: seeds {seeds.start} to {seeds.stop - 1} on {hardware}, {threads} threads")
    if threads < specification["threads"]:
        say(f"{variant}: the variant asks for {specification['threads']} threads: the last bits may differ")

    from mnist_hpc.training.models import adapted, input_shape

    specification = specification | {"layers": adapted(specification["layers"], train)}
    folder = state / variant / provenance.specification_hash(hashes) if state else None
    checkpoints = {
        seed: Checkpoint(folder / f"seed-{seed}.h5", checkpoint_seconds) if folder else None for seed in seeds
    }

    def report(line: str) -> None:
        say(f"{variant}: {line}")

    runs = _train_seeds(specification, train, validation, checkpoints, report, threads, hardware)
    keys = {"dataset": attributes["dataset"], "variant": variant}
    header = {**specification, **keys, **hashes, "classes": attributes["classes"], "input_shape": input_shape(train)}
    write_models(models, header, {seed: Model(run.facts, weights) for seed, (run, weights) in runs.items()})
    rows = [keys | {"seed": seed} | row for seed, (run, _) in runs.items() for row in run.history()]
    csv_table.write(history, HISTORY_COLUMNS, rows)


def _train_seeds(
    specification: dict[str, Any],
    train: Split,
    validation: Split,
    checkpoints: Mapping[int, Checkpoint | None],
    report: Callable[[str], None],
    threads: int,
    hardware: str,
) -> dict[int, Any]:
    """Return the finished run and the weights of each seed that has a place in ``checkpoints``."""
    from mnist_hpc.training.engine import choose
    from mnist_hpc.training.loop import Loop
    from mnist_hpc.training.trainer import Trainer, finished

    facts = {"job": attempts.job(), "device": hardware, "threads": threads, "startup_seconds": time.monotonic() - BEGIN}
    facts |= {"commit": provenance.commit(), **device.versions()}
    stop = signals.stop_requested()
    trainer = None
    runs = {}
    for seed, checkpoint in checkpoints.items():
        done = finished(checkpoint, report) if checkpoint else None
        if done:
            report(f"seed {seed}: already trained by an earlier process")
        else:
            if trainer is None:
                loop = Loop(specification, train, choose(specification, threads))
                trainer = Trainer(loop, validation, origin=facts)
            done = trainer.train(seed, report, checkpoint, stop)
        runs[seed] = done
    return runs
