"""Train the points of a sweep, or one job's part of them."""

import argparse
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.console import say
from mnist_hpc.data.splits import read_training
from mnist_hpc.files import csv_table, hdf5, provenance
from mnist_hpc.study import halving, spaces
from mnist_hpc.study.grids import FIRST_SEED
from mnist_hpc.study.layout import point_columns
from mnist_hpc.training import device, signals


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_paths(parser, data="train.h5", points="CSV file to write", losses="HDF5 file to write")
    options.add_paths(parser, state="folder for checkpoints")
    options.add_names(parser, name="name of the sweep", variant="name of the variant it is about")
    options.add_json(parser, sweep="specification, grid or space, seeds, ...")
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
    losses: Path,
    state: Path,
    checkpoint_seconds: float,
    threads: int,
    require_gpu: int,
    gpu: int,
    code_hash: str,
) -> None:
    """Train and validate the points, and write one row per point, seed and rung.

    Of a sweep that is halved, the part is a bracket. Write the losses of its finalists too, of each point those of the
    validation examples, float32 (fresh seeds, examples); a sweep that is not halved has no finalists.

    On a signal, save what was done under ``state`` and raise Interrupted.
    """
    attributes, train, validation = read_training(data)
    hashes = provenance.identity(sweep, attributes["data_hash"], code_hash)
    hardware = device.prepare(threads, require_gpu=bool(require_gpu), gpu=bool(gpu))

    from mnist_hpc.training import packing, rungs
    from mnist_hpc.training.models import adapted, input_shape
    from mnist_hpc.training.sweep import Trainings, train_packs

    specification = sweep["specification"] | {"layers": adapted(sweep["specification"]["layers"], train)}
    if threads < specification["threads"]:
        say(f"{name}: the sweep asks for {specification['threads']} threads: the last bits may differ")

    def report(line: str) -> None:
        say(f"{name}: {line}")

    tried = spaces.tried(sweep | {"specification": specification})
    folder = state / provenance.specification_hash(hashes)
    stop = signals.stop_requested()
    trainings = Trainings(train, validation, folder, report, stop, threads, checkpoint_seconds)
    if "halving" in sweep:
        own = halving.bracket(tried, *part, listed="grid" in sweep)
        report(f"{len(own)} points in {len(halving.shares(sweep['halving']))} rungs on {hardware}, {threads} threads")
        rows, found = rungs.halve(own, sweep, trainings)
    else:
        seeds = range(FIRST_SEED, FIRST_SEED + sweep["seeds"])
        packs = packing.packs(tried, seeds, input_shape(train), sweep["pack_mb"] * 10**6)[part[0] - 1 :: part[1]]
        count = sum(len(pack.settings) for pack in packs)
        report(f"{count} trainings in {len(packs)} packs on {hardware}, {threads} threads")
        rows, found = train_packs(packs, trainings), {}
    with hdf5.writing(losses, hashes) as file:
        for point, values in found.items():
            file[str(point)] = values
    keys = {"dataset": attributes["dataset"], "sweep": name, "variant": variant, **hashes}
    csv_table.write(points, point_columns(spaces.dimensions(sweep)), [keys | row for row in rows])
