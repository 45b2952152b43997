"""Evaluate a block of trained models on the test set."""

import argparse
from pathlib import Path

from mnist_hpc import options
from mnist_hpc.console import say
from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.study.layout import RUN_COLUMNS
from mnist_hpc.training import device
from mnist_hpc.training.models_file import read_models_and_test


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this stage."""
    options.add_paths(parser, models="models.h5", data="test.h5")
    options.add_paths(parser, metrics="metrics.csv to write", predictions="predictions.h5 to write")
    options.add_job(parser)
    options.add_device(parser)


def run(models: Path, data: Path, metrics: Path, predictions: Path, threads: int, gpu: int, code_hash: str) -> None:
    """Write predictions, and one row of metrics per seed; raise UserError if the models belong to other data."""
    header, trained, test = read_models_and_test(models, data)
    device.prepare(threads, gpu=bool(gpu))

    from mnist_hpc.training import evaluation

    results = evaluation.evaluate(header, trained, test, header["classes"])
    keys = {key: header[key] for key in ("dataset", "variant", "spec_hash", "data_hash")}
    with hdf5.writing(predictions, keys | {"classes": header["classes"]}) as file:
        evaluation.write_predictions(file, results, test)
    (loss,) = header["loss"]
    common = header | {"loss": loss, "evaluation_code_hash": code_hash}
    rows = [common | run.facts | {"seed": seed} | results.get(seed, {}) for seed, run in trained.items()]
    csv_table.write(metrics, RUN_COLUMNS, rows)
    for row in rows:
        say(f"{row['variant']}: seed {row['seed']}: {row['status']}, test accuracy {row.get('test_accuracy', '–')}")
