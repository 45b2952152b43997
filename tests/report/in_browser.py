"""What tests of the report's JavaScript share: a net in a browser and in Keras, and a study on the digits."""

import contextlib
import shutil

import numpy as np
from playwright.sync_api import expect

from conftest import ROOT, call, copy_project, made_once, snakemake
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.report import drawing
from mnist_hpc.report.scripts import joined
from mnist_hpc.study.specification import Study

# Largest difference of a probability from that of the float32 model. It is the promise; 2e-4 is what is found.
TOLERANCE = 1e-3
# How long a page may take for an action, and an expectation to come true, milliseconds. Playwright's own 30 and 5 s are
# short where other tests use the same cores.
ACTION, EXPECTATION = 120_000, 60_000


def loaded(browser):
    """Return an empty page in which the functions of the modules are global."""
    page = browser.new_page()
    page.set_default_timeout(ACTION)
    names = "decoded, probabilities, centred, coarse"
    page.add_script_tag(type="module", content=f"{joined(drawing.SCRIPTS)}\nObject.assign(window, {{ {names} }})")
    page.wait_for_function("() => Boolean(window.decoded)")
    return page


def read_by_browser(net, model, images):
    """Return the outputs of an exported model for uint8 images (N, 28, 28)."""
    rows = net.evaluate(
        """([model, images]) => {
            const made = decoded(model);
            return images.map(image => [...probabilities(made, Float32Array.from(image, grey => grey / 255))]);
        }""",
        [model, images.reshape(len(images), -1).tolist()],
    )
    return np.array(rows)


def read_by_keras(model, loss, images):
    from mnist_hpc.training import models

    return models.predictor(model, loss)(images)[1].numpy()


def trained(results, data, dataset, variants, **changes):
    """Train and evaluate variants of the shipped study, one seed each, and return the study."""
    study = Study.read(ROOT / "config.yaml", {"dataset": dataset, "max_seeds": 1} | changes)
    for name in variants:
        (block,) = study.blocks_of(name)
        models, history, metrics, predictions = (results / file for file in block.files)
        models.parent.mkdir(parents=True)
        done = call(
            *("train", "--data", data / "train.h5", "--variant", name, "--seeds", "0-0"),
            *("--specification", study.variants[name].json, "--models", models, "--history", history),
            *("--code-hash", code_hash("stages.train")),
        )
        assert done.returncode == 0, done.stderr
        done = call(
            *("evaluate", "--models", models, "--data", data / "test.h5"),
            *("--metrics", metrics, "--predictions", predictions, "--code-hash", code_hash("stages.evaluate")),
        )
        assert done.returncode == 0, done.stderr
    return study


# A study with every kind of section of the report.
WIDE_STUDY = """
dataset: digits
seeds: 3
seeds_per_job: 3
draw: [regression]
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10, kernel_initializer: zeros}}]
    optimizer: {SGD: {learning_rate: 0.5}}
    batch_size: 100
    steps: 20
  regression-same-budget: {base: regression, from_sweep: regression-same-budget}
  wild:
    base: regression
    seeds: 1
    layers: [Flatten, {Dense: {units: 8, activation: relu}}, {Dense: {units: 10}}]
    optimizer: {SGD: {learning_rate: 1.0e+9}}
  cnn:
    base: regression
    layers: [{Conv2D: {filters: 4, kernel_size: 3}}, Flatten, {Dense: {units: 10}}]
    optimizer: {Adam: {learning_rate: 0.01}}
  circle-3:
    dataset: circle
    layers: [{Dense: {units: 3, activation: tanh}}, {Dense: {units: 2}}]
    optimizer: {Adam: {learning_rate: 0.03}}
    batch_size: 100
    steps: 20
    snapshots: 4
sweeps:
  regression-same-budget:
    variant: regression
    grid: {learning_rate: [0.1, 0.2, 0.5], steps: [5, 10], batch_size: [50, 100]}
    seeds: 1
  halved:
    variant: regression
    space: {learning_rate: {log_uniform: [0.01, 2]}, batch_size: [20, 50, 100]}
    points: 12
    images: 2000
    halving: {fresh_seeds: 3}
    seeds: 1
ensembles: {committee: [regression, cnn]}
"""
# How it is run: with fewer seeds.
CHANGED = "max_seeds=2"


def wide_study(factory, target):
    """Return a new copy of a project with ``WIDE_STUDY``, run once for all tests of a session, and with its report."""

    def build(folder):
        result = snakemake(copy_project(folder, WIDE_STUDY), "--config", CHANGED, "--", "tabulate", "write_report")
        assert result.returncode == 0, result.stdout

    return shutil.copytree(made_once(factory, "wide-report", build), target, symlinks=True)


@contextlib.contextmanager
def reading(browser, path, address="", **options):
    """Open a report as a reader without a network does, and close it; it must end without errors and requests.

    ``address`` is what follows the file's name, and ``options`` are those of the browser's context. Yields the page,
    once all its charts are drawn, and the list of what has gone wrong so far.
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
    context.set_default_timeout(ACTION)
    expect.set_options(timeout=EXPECTATION)
    context.set_offline(True)
    page, bad = context.new_page(), []
    page.on("console", lambda message: bad.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: bad.append(str(error)))
    page.on("dialog", lambda dialog: bad.append(dialog.message))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else bad.append(request.url))
    page.goto(f"{path.resolve().as_uri()}{address}")
    page.wait_for_selector("html[data-ready]")
    yield page, bad
    context.close()
    assert not bad
