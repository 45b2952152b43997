"""What several test modules share: real commands, a small IDX data set, a finished study of the digits."""

import contextlib
import fcntl
import gzip
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import yaml

from mnist_hpc import __main__
from mnist_hpc.data import idx
from mnist_hpc.data.splits import Split, read_split
from mnist_hpc.files import hdf5
from mnist_hpc.stages import convert
from mnist_hpc.study.datasets import BUILT_IN
from mnist_hpc.training import device

ROOT = Path(__file__).parents[1]
# TensorFlow takes its threads once per process; every test of numbers runs with one.
THREADS = 1
# What legitimately differs between two runs of one study.
DIFFER = [
    *("train_seconds", "images_per_second", "startup_seconds", "compile_seconds", "process_seconds", "windows", "jobs"),
    *("started", "finished", "host", "commit", "driver", "cuda", "cudnn", "settings"),
]
# A busy machine makes no test fail.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")
# Arguments for Snakemake to end a run with the tables, without figures and report.
UNTIL_TABLES = ("--until", "tabulate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let two processes begin with the tests on Slurm, which wait more than they compute."""
    on_slurm = [item for item in items if item.path.parent.name == "slurm"]
    others = [item for item in items if item.path.parent.name != "slurm"]
    middle = len(others) // 2
    items[:] = [*on_slurm[::2], *others[:middle], *on_slurm[1::2], *others[middle:]]


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Start TensorFlow as a job does."""
    device.prepare(THREADS)


def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m mnist_hpc`` with these arguments."""
    return subprocess.run(
        [sys.executable, "-m", "mnist_hpc", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
        check=False,
    )


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command as ``run`` does, in this process: what takes seconds to start has started already."""
    output, errors = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = __main__.main([*map(str, arguments)])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


def call_in(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command as ``call`` does, in the folder of a project, as people do."""
    with contextlib.chdir(folder):
        return call(*arguments)


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    """Return the error of a command that refused: one line, exit code 2, no traceback."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("mnist_hpc: error: ")]
    return line


def as_yaml(content: dict[str, Any]) -> str:
    """Return a config as text; PyYAML's own writer takes ten times as long."""
    return yaml.dump(content, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False)


def tiny_entry(**changes: object) -> dict[str, object]:
    """Return the config entry of a small IDX data set: 40 training and 20 test images of 10 classes."""
    entry = {
        "classes": 10,
        "validation": 10,
        "mirrors": [],
        "files": {
            "train_images": {"name": "train-images.gz", "shape": [40, 28, 28]},
            "train_labels": {"name": "train-labels.gz", "shape": [40]},
            "test_images": {"name": "test-images.gz", "shape": [20, 28, 28]},
            "test_labels": {"name": "test-labels.gz", "shape": [20]},
        },
    }
    return entry | changes


def make_tiny(folder: Path) -> Path:
    """Write the four files of ``tiny_entry`` into a new folder."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for key, file in tiny_entry()["files"].items():
        top = 256 if "images" in key else 10
        array = random.integers(0, top, file["shape"], dtype=np.uint8)
        (folder / file["name"]).write_bytes(gzip.compress(idx.encode(array)))
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Return a folder with the four files of ``tiny_entry``."""
    return make_tiny(tmp_path / "tiny")


@pytest.fixture(scope="session")
def browser():
    """Return Debian's Chromium."""
    executable = shutil.which("chromium")
    if not executable:
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail("REQUIRE_CHROMIUM is set and there is no chromium; apt-get install chromium")
        pytest.skip("no chromium; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with train.h5 and test.h5 of the digits."""
    folder = tmp_path_factory.mktemp("digits")
    convert.run("digits", "digits", BUILT_IN["digits"], folder)
    return folder


@pytest.fixture(scope="session")
def digit_splits(digits: Path) -> tuple[Split, Split]:
    """Return the training and validation examples of the digits."""
    with hdf5.reading(digits / "train.h5") as file:
        return read_split(file["train"]), read_split(file["validation"])


def specification(**changes: object) -> dict[str, object]:
    """Return the specification of a softmax regression that takes a moment, with changes."""
    keys = {
        "layers": [{"Flatten": {}}, {"Dense": {"units": 10, "kernel_initializer": "zeros"}}],
        "loss": {"CategoricalCrossentropy": {}},
        "optimizer": {"SGD": {"learning_rate": 0.5}},
        "batch_size": 100,
        "steps": 60,
        "threads": THREADS,
    }
    return keys | changes


def trainer_of(splits: tuple[Split, Split], **changes: object) -> Any:
    """Return a trainer of ``specification(**changes)`` on training and validation examples; TensorFlow must run."""
    from mnist_hpc.training.engine import choose
    from mnist_hpc.training.loop import Loop
    from mnist_hpc.training.trainer import Trainer

    changed = specification(**changes)
    loop = Loop(changed, splits[0], choose(changed, changed["threads"]))
    return Trainer(loop, splits[1], snapshots=changed.get("snapshots"))


def of_keras(layers: list[Any], weights: dict[str, np.ndarray], split: Split) -> tuple[float, float]:
    """Return loss and accuracy of a trained classifier of images as Keras' own ``evaluate`` has them, in float32."""
    import keras

    from mnist_hpc.training import models

    model = models.build(layers, (28, 28, 1), seed=0)
    models.set_weights(model, weights)
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["sparse_categorical_accuracy"]
    )
    loss, accuracy = model.evaluate(split.inputs[..., np.newaxis] / np.float32(255), split.labels, verbose=0)
    return float(loss), float(accuracy)


def without_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a learning curve without what differs from run to run."""
    return [{key: value for key, value in row.items() if key not in ("train_seconds", "checksum")} for row in rows]


SMALL_STUDY = """
dataset: digits
seeds: 2
seeds_per_job: 2
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10, kernel_initializer: zeros}}]
    optimizer: {SGD: {learning_rate: 0.5}}
    batch_size: 100
    steps: 60
  circle:
    dataset: circle
    layers: [{Dense: {units: 3, activation: tanh}}, {Dense: {units: 2}}]
    optimizer: {Adam: {learning_rate: 0.03}}
    batch_size: 100
    steps: 60
"""
# The same without the circle, for what one data set shows.
REGRESSION_STUDY = SMALL_STUDY[: SMALL_STUDY.index("  circle:")]


# A study with a sweep, and one with a variant that takes over what the sweep finds.
SWEEP = """
dataset: digits
seeds: 2
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10}}]
    optimizer: {SGD: {learning_rate: 0.5}}
    batch_size: 100
    steps: 40
sweeps:
  rates:
    variant: regression
    grid: {learning_rate: [0.001, 0.01, 0.1], steps: [10, 20], batch_size: [20, 100]}
    jobs: 1
"""
TUNED = SWEEP.replace(
    "sweeps:",
    """  tuned:
    base: regression
    from_sweep: rates
sweeps:""",
)


# One with a space that is halved in two brackets, and a variant that takes over what it finds.
HALVED = """
dataset: digits
seeds: 2
seeds_per_job: 2
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10, kernel_initializer: zeros}}]
    optimizer: {SGD: {learning_rate: 0.5}}
    batch_size: 100
    epochs: 3
  tuned:
    base: regression
    from_sweep: space
sweeps:
  space:  # A comment.
    variant: regression
    space:
      learning_rate: {log_uniform: [0.0001, 0.1]}
      batch_size: [20, 50]
    points: 6
    images: 600
    halving: {first: 1/3, finalists: 1, fresh_seeds: 2}
    seeds: 1
    jobs: 2
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the workflow with a small study, in a folder whose name needs quoting."""
    return copy_project(tmp_path / "a user's study", SMALL_STUDY)


def copy_project(root: Path, config: str) -> Path:
    """Return a copy of the workflow in a new folder, with this config."""
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "Snakefile", root)
    (root / "config.yaml").write_text(config)
    return root


def snakemake(
    project: Path, *arguments: object, profile: str = "local", trains: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake with a profile in a project, its two streams together; on this machine as ``make run`` does.

    Args:
        project: Folder of the study.
        arguments: Arguments after ``--profile``.
        profile: Profile of the project.
        trains: Whether a job may train or evaluate. Where none does, nobody waits for TensorFlow, so it is not loaded.
        environment: Variables to set.
    """
    preloads = trains and profile == "local" and not {"-n", "--dry-run", "--unlock"} & set(arguments)
    preload = [sys.executable, "-m", "mnist_hpc", "preload"] if preloads else []
    program = Path(sys.executable).parent / "snakemake"
    return subprocess.run(
        [*preload, program, "--profile", f"profiles/{profile}", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=project,
        env={**os.environ, **environment},
        check=False,
    )


def make(project: Path, *arguments: object, code: int = 0) -> str:
    """Run a command of the Makefile in the environment of the tests, expect an exit code, and return what it says."""
    shutil.copy(ROOT / "Makefile", project)
    done = subprocess.run(
        ["make", "--no-print-directory", "ENV=", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=project,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def made_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """Return a folder that one of the processes of a session builds for all their tests, which must not change it."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, whole = base / name, base / f"{name}.whole"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)
            build(folder)
            whole.touch()
    return folder
