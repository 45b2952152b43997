"""Train the points of a sweep, or the part of them that one of several jobs has."""

import argparse
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.console import say
from mnist_hpc.data.splits import read_training
from mnist_hpc.files import csv_table, provenance
from mnist_hpc.study import grids
from mnist_hpc.study.layout import point_columns
from mnist_hpc.training import device, signals


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_paths(parser, data="train.h5", points="CSV file to write", state="folder for checkpoints")
    options.add_names(parser, name="name of the sweep", variant="name of the variant it is about")
    options.add_json(parser, sweep="specification, grid, seeds, ...")
    parser.add_argument("--part", type=options.part, default=(1, 1), metavar="K/N", help="train part K of N")
    options.add_training(parser)


# Longer than 40 lines: a stage reads from top to bottom.
def run(
    data: Path,
    name: str,
    variant: str,
    sweep: dict[str, Any],
    part: tuple[int, int],
    points: Path,
    state: Path,
    checkpoint_seconds: float,
    threads: int,
    require_gpu: int,
    gpu: int,
    code_hash: str,
) -> None:
    """Train and validate the points, and write one row per point and seed.

    On a signal, save what was done under ``state`` and raise Interrupted.
    """
    attributes, train, validation = read_training(data)
    hashes = provenance.identity(sweep, attributes["data_hash"], code_hash)
    hardware = device.prepare(threads, require_gpu=bool(require_gpu), gpu=bool(gpu))

    from mnist_hpc.training import packing
    from mnist_hpc.training.models import adapted, input_shape
    from mnist_hpc.training.sweep import train as train_packs

    specification = sweep["specification"] | {"layers": adapted(sweep["specification"]["layers"], train)}
    if threads < specification["threads"]:
        say(f"{name}: the sweep asks for {specification['threads']} threads: the last bits may differ")
    grid = grids.points(specification, dict(sweep["grid"]))
    points_tried = [grid[place] for place in sweep["points"]]
    packs = packing.packs(points_tried, sweep["seeds"], input_shape(train), sweep["pack_mb"] * 10**6)
    own = packs[part[0] - 1 :: part[1]]
    trainings = sum(len(pack.settings) for pack in own)
    say(f"{name}: {trainings} trainings in {len(own)} packs on {hardware}, {threads} threads")

    def report(line: str) -> None:
        say(f"{name}: {line}")

    folder = state / provenance.specification_hash(hashes)
    stop = signals.stop_requested()
    rows = train_packs(own, train, validation, folder, report, stop, threads, checkpoint_seconds)
    keys = {"dataset": attributes["dataset"], "sweep": name, "variant": variant, **hashes}
    csv_table.write(points, point_columns(list(dict(sweep["grid"]))), [keys | row for row in rows])
