"""Train a block of seeds of one variant; continue where an earlier process was interrupted."""

import argparse
import time
from pathlib import Path
from typing import Any

from mnist_hpc import options, stages
from mnist_hpc.cluster import attempts
from mnist_hpc.console import say
from mnist_hpc.data.splits import read_training
from mnist_hpc.files import csv_table, provenance
from mnist_hpc.study.layout import HISTORY_COLUMNS
from mnist_hpc.tables import ranking
from mnist_hpc.training import device, signals
from mnist_hpc.training.checkpoint import Checkpoint, elsewhere
from mnist_hpc.training.models_file import Model, write_models


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_paths(parser, data="train.h5", models="models.h5 to write", history="history.csv to write")
    options.add_names(parser, variant="name of the variant")
    options.add_json(parser, specification="layers, loss, optimizer, ...")
    parser.add_argument(
        "--choice", type=Path, nargs="?", help="best.json of a sweep, whose values complete the specification"
    )
    parser.add_argument("--seeds", type=options.seeds, required=True, metavar="FIRST-LAST", help="such as 0-4")
    parser.add_argument("--state", type=Path, help="folder for checkpoints; without it an interruption loses the run")
    options.add_training(parser)


# Longer than 40 lines: a stage reads from top to bottom.
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
    gpu: int,
    code_hash: str,
) -> None:
    """Train the seeds one after the other and write their models and learning curves.

    On a signal, save what was done under ``state`` and raise Interrupted.
    """
    attributes, train, validation = read_training(data)
    if choice:
        specification = ranking.resolve(specification, choice)
    hashes = provenance.identity(specification, attributes["data_hash"], code_hash)
    hardware = device.prepare(threads, require_gpu=bool(require_gpu), gpu=bool(gpu))
    say(f"{variant}: seeds {seeds.start} to {seeds.stop - 1} on {hardware}, {threads} threads")
    if threads < specification["threads"]:
        say(f"{variant}: the variant asks for {specification['threads']} threads: the last bits may differ")

    from mnist_hpc.training.engine import choose
    from mnist_hpc.training.loop import Loop
    from mnist_hpc.training.models import adapted, input_shape
    from mnist_hpc.training.trainer import Trainer, finished

    def report(line: str) -> None:
        say(f"{variant}: {line}")

    facts = {
        "job": attempts.job(),
        "device": hardware,
        "threads": threads,
        "startup_seconds": time.monotonic() - stages.BEGIN,
    }
    facts |= {"commit": provenance.commit(), **device.versions()}
    specification = specification | {"layers": adapted(specification["layers"], train)}
    engine = choose(specification, threads)
    folder = state / variant / provenance.specification_hash(hashes) if state else None
    kind = device.kind(threads, engine.dtype_policy)
    files = {seed: f"seed-{seed}.h5" for seed in seeds}
    if folder and (others := elsewhere(folder, kind, files.values())):
        say(f"{variant}: starts over on {kind}: the checkpoints of {' and '.join(others)} stay")
    stop = signals.stop_requested()
    trainer = None
    runs = {}
    for seed in seeds:
        checkpoint = Checkpoint(folder / kind / files[seed], checkpoint_seconds) if folder else None
        done = finished(checkpoint, report) if checkpoint else None
        if done:
            report(f"seed {seed}: already trained by an earlier process")
        else:
            if trainer is None:
                snapshots = specification.get("snapshots")
                trainer = Trainer(Loop(specification, train, engine), validation, origin=facts, snapshots=snapshots)
            done = trainer.train(seed, report, checkpoint, stop)
        runs[seed] = done
    keys = {"dataset": attributes["dataset"], "variant": variant}
    header = {**specification, **keys, **hashes, "classes": attributes["classes"], "input_shape": input_shape(train)}
    trained = {seed: Model(run.facts, weights, run.snapshots) for seed, (run, weights) in runs.items()}
    write_models(models, header, trained)
    rows = [keys | {"seed": seed} | row for seed, (run, _) in runs.items() for row in run.history()]
    csv_table.write(history, HISTORY_COLUMNS, rows)
