"""Run every stage once under coverage, and write down which lines of the package ran in which.

Usage: python trace_stages.py FOLDER. FOLDER/ran.json maps the modules that a rule hashes ("stages.convert
data.sources.circle") to the lines that ran, by module. TensorFlow's functions run eagerly, because coverage does not
see those that TensorFlow compiles.
"""

import argparse
import gzip
import json
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path

import coverage
import numpy as np

from mnist_hpc import figures
from mnist_hpc.cluster.accounting import JOB_COLUMNS
from mnist_hpc.data import idx
from mnist_hpc.errors import Interrupted
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.study import check
from mnist_hpc.training import device

PACKAGE = Path(device.__file__).parents[1]
RANDOM = np.random.default_rng(0)
CONFIG = """
dataset: tiny
seeds: 1
datasets:
  tiny:
    classes: 10
    validation: 50
    mirrors: []
    files:
      train_images: {name: a.gz, shape: [300, 28, 28]}
      train_labels: {name: b.gz, shape: [300]}
      test_images: {name: c.gz, shape: [60, 28, 28]}
      test_labels: {name: d.gz, shape: [60]}
layer_groups:
  norm-relu: [{BatchNormalization: {momentum: 0.9}}, ReLU]
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10, kernel_initializer: zeros}}]
    optimizer: {SGD: {learning_rate: 0.5, momentum: 0.5, use_ema: true}}
    l2: 0.001
    initial_scale: 0.5
    batch_size: 20
    steps: 3
  squared:
    base: regression
    loss: SquaredError
    optimizer: {Adam: {learning_rate: {CosineDecay: {initial_learning_rate: 0.1}}}}
  tuned:
    base: regression
    from_sweep: rates
  wide:
    layers: [Flatten, {Dense: {units: 10}}, ReLU, {Dense: {units: 10}}]
    optimizer: {SGD: {learning_rate: 0.1}}
    batch_size: full
    epochs: 1
    threads: 2
  convolution:
    seeds: 2
    layers:
      - Normalization
      - {Conv2D: {filters: 2, kernel_size: 5, strides: 3}}
      - MaxPooling2D
      - norm-relu
      - {Dropout: {rate: 0.3}}
      - Flatten
      - {Dense: {units: 10}}
    loss: {CategoricalCrossentropy: {label_smoothing: 0.1}}
    optimizer: {Adam: {learning_rate: {OneCycle: {maximal_learning_rate: 0.01}}}}
    augmentation:
      - {RandomRotation: {factor: 0.03}}
      - {RandomZoom: {height_factor: 0.1}}
      - {RandomShear: {x_factor: 0.1}}
      - {RandomTranslation: {height_factor: 0.1, width_factor: 0.1}}
    batch_size: 20
    steps: 4
    dtype_policy: mixed_bfloat16
  without:
    base: convolution
    without: [Dropout]
  divergent:
    base: wide
    optimizer: {SGD: {learning_rate: 1.0e+30}}
    batch_size: 20
    epochs: 2
  circle:
    dataset: circle
    layers: [{Dense: {units: 3, activation: tanh}}, {Dense: {units: 2}}]
    optimizer: {Adam: {learning_rate: 0.03}}
    batch_size: 100
    steps: 3
    snapshots: 2
  spirals:
    dataset: spirals
    base: circle
    layers: [Normalization, {Dense: {units: 2, activation: tanh}}, {Dense: {units: 2}}]
sweeps:
  rates:
    variant: regression
    grid: {learning_rate: [0.1, 0.2, 1.0e+30], l2: [0.0, 0.1], steps: [2, 3]}
    jobs: 2
    seeds: 2
  alone:
    variant: convolution
    grid: {learning_rate: [0.01, 0.02]}
    max_images: 1000
  packs:
    variant: wide
    grid: {optimizer: [SGD, Adam, {RMSprop: {momentum: 0.5}}], learning_rate: [0.1, 0.01], initial_scale: [1.0, 2.0]}
    threads: 1
  halved:
    variant: regression
    grid: {optimizer: [{SGD: {momentum: 0.5}}], learning_rate: [0.1, 0.2, 0.3]}
    halving: {first: 1/3, finalists: 1, fresh_seeds: 2}
ensembles:
  all: [regression, wide]
draw: [regression, squared, convolution]
"""


def run(key, stage, *arguments, interrupted=False):
    """Run a stage; add the lines that ran to those of a key."""
    module = import_module(f"mnist_hpc.stages.{stage}")
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    options = vars(parser.parse_args([str(argument) for argument in arguments]))
    for name in ("attempts", "mem_mb"):  # for the record of attempts, which the command line keeps
        options.pop(name, None)
    measured = coverage.Coverage(data_file=None, source=[str(PACKAGE)], config_file=False)
    measured.start()
    try:
        module.run(**options)
        assert not interrupted
    except Interrupted:
        assert interrupted
    finally:
        measured.stop()
    data = measured.get_data()
    for file in data.measured_files():
        name = str(Path(file).relative_to(PACKAGE))
        RAN.setdefault(key, {}).setdefault(name, set()).update(data.lines(file))


def interrupt(folder):
    """Send this process SIGTERM when a checkpoint appears below a folder."""

    def watch():
        while not list(folder.rglob("seed-*.h5")):
            threading.Event().wait(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def data(study):
    source = Path("raw")
    source.mkdir()
    for file in study.entries["tiny"]["files"].values():
        top = 256 if len(file["shape"]) == 3 else 10
        array = RANDOM.integers(0, top, file["shape"], dtype=np.uint8)
        (source / file["name"]).write_bytes(gzip.compress(idx.encode(array)))
    folder = "results/tiny/data"
    run("stages.fetch", "fetch", "--dataset", "tiny", "--entry", study.entry("tiny"), "--search-path", source,
        "--folder", folder)  # fmt: skip
    for name in (*study.datasets, "digits"):
        origin = study.source(name)
        run(f"stages.convert data.sources.{origin}", "convert", "--dataset", name, "--source", origin,
            "--entry", study.entry(name), "--folder", f"results/{name}/data")  # fmt: skip


def sweeps(study):
    for sweep in study.sweeps.values():
        folder = f"results/{sweep.folder}"
        for part in sweep.parts:
            run("stages.sweep", "sweep", "--data", f"results/{part.dataset}/data/train.h5", "--name", sweep.name,
                "--variant", sweep.variant.name, "--sweep", sweep.json, "--part", f"{part.number}/{part.parts}",
                "--points", f"results/{part.files[0]}", "--losses", f"results/{part.files[1]}",
                "--state", f"state/{part.name}", "--code-hash", code_hash("stages.sweep"))  # fmt: skip
        run("stages.rank", "rank", "--parts", *(f"results/{part.files[0]}" for part in sweep.parts), "--losses",
            *(f"results/{part.files[1]}" for part in sweep.parts), "--sweep", sweep.json, "--points",
            f"{folder}/points.csv", "--best", f"{folder}/best.json",
            "--remove-state", f"state/sweep.{sweep.name}")  # fmt: skip


def runs(study):
    for block in study.blocks:
        folder, variant = Path("results", block.folder), study.variants[block.variant]
        arguments = [
            "train", "--data", f"results/{block.dataset}/data/train.h5", "--variant", block.variant,
            "--specification", variant.json, "--choice", *(f"results/{file}" for file in study.choice(block.variant)),
            "--seeds", f"{block.first}-{block.last}", "--models", folder / "models.h5",
            "--history", folder / "history.csv", "--state", "state", "--code-hash", code_hash("stages.train"),
            "--checkpoint-seconds", 0,
        ]  # fmt: skip
        if block.variant == "convolution":
            interrupt(Path("state/convolution"))
            run("stages.train", *arguments, interrupted=True)
        run("stages.train", *arguments)
        if block.variant == "regression":
            run("stages.train", *arguments)  # all seeds are done
        run("stages.evaluate", "evaluate", "--models", folder / "models.h5", "--data",
            f"results/{block.dataset}/data/test.h5", "--metrics", folder / "metrics.csv", "--predictions",
            folder / "predictions.h5", "--code-hash", code_hash("stages.evaluate"))  # fmt: skip
        if block.variant in ("squared", "convolution"):  # each loss, and nearly all layers
            run("stages.perturb", "perturb", "--models", folder / "models.h5", "--data",
                f"results/{block.dataset}/data/test.h5", "--perturbed", folder / "perturbed.csv", "--code-hash",
                code_hash("stages.perturb"))  # fmt: skip


def rest(study):
    run("stages.tabulate", "tabulate", "--train-hash", code_hash("stages.train"), "--evaluate-hash",
        code_hash("stages.evaluate"), "--perturb-hash", code_hash("stages.perturb"))  # fmt: skip
    job = "tiny,regression,1,COMPLETED,5,9,1,1,0.1,9,4000,500"
    Path("results/tiny/tables/jobs.csv").write_text(f"{','.join(JOB_COLUMNS)}\n{job}\n")
    for kind in figures.kinds(study, Path("results")):
        run(f"stages.draw figures.{figures.KINDS[kind].module}", "draw", "--figure", kind)
    run("stages.report", "report")


RAN: dict[str, dict[str, set[int]]] = {}
os.chdir(sys.argv[1])
Path("config.yaml").write_text(CONFIG)
device.prepare(1)

import tensorflow as tf  # noqa: E402

tf.config.run_functions_eagerly(True)  # noqa: FBT003
whole = check.load(Path("config.yaml"))
data(whole)
sweeps(whole)
runs(whole)
rest(whole)
Path("ran.json").write_text(
    json.dumps({key: {name: sorted(lines) for name, lines in found.items()} for key, found in RAN.items()})
)
