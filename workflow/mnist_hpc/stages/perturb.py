"""Evaluate a block of trained models on transformed test images: shifted, rotated, zoomed, noisy."""

import argparse
from pathlib import Path

from mnist_hpc import options
from mnist_hpc.console import say
from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table
from mnist_hpc.study.layout import PERTURBED_COLUMNS
from mnist_hpc.training import device
from mnist_hpc.training.models_file import read_models_and_test


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_paths(parser, models="models.h5", data="test.h5", perturbed="perturbed.csv to write")
    options.add_job(parser)
    options.add_device(parser)


def run(models: Path, data: Path, perturbed: Path, threads: int, gpu: int, code_hash: str) -> None:
    """Write one row per seed, transform and level; raise UserError if the models belong to other data."""
    header, trained, test = read_models_and_test(models, data)
    if test.inputs.ndim != 3:
        raise UserError(f"{data}: found points of the plane, expected images; only images can be transformed")
    device.prepare(threads, gpu=bool(gpu))

    from mnist_hpc.training import perturbation

    common = header | {"perturbation_code_hash": code_hash}
    rows = [common | row for row in perturbation.measure(header, trained, test, header["classes"])]
    csv_table.write(perturbed, PERTURBED_COLUMNS, rows)
    say(f"{header['variant']}: {len(rows)} accuracies on transformed test images")
