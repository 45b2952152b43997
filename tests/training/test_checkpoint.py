"""An interrupted training ends in the bits of an uninterrupted one; nothing foreign or damaged is ever used."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from conftest import run, specification
from mnist_hpc.files import csv_table
from mnist_hpc.training.models_file import read_models
from mnist_hpc.training import checkpoint
from mnist_hpc.training.checkpoint import Checkpoint
from mnist_hpc.errors import Interrupted, UserError

DENSE = [{"Flatten": {}}, {"Dense": {"units": 32, "activation": "relu"}}, {"Dense": {"units": 10}}]
CNN = [
    {"Conv2D": {"filters": 4, "kernel_size": 3, "activation": "relu"}},
    {"BatchNormalization": {}},
    {"MaxPooling2D": {}},
    {"Flatten": {}},
    {"Dropout": {"rate": 0.5}},
    {"Dense": {"units": 10}},
]
ADAM = {"Adam": {"learning_rate": 0.002}}
NETS = {
    "dense": {"layers": DENSE, "optimizer": {"SGD": {"learning_rate": 0.1}}},
    "adam": {"layers": DENSE, "optimizer": ADAM},
    "cnn": {"layers": CNN, "optimizer": ADAM},
    "cnn in bfloat16": {"layers": CNN, "optimizer": ADAM, "dtype_policy": "mixed_bfloat16"},
    # A schedule, averaged weights and images moved at random: what depends on the number of the step.
    "cnn recipe": {
        "layers": [{"Normalization": {"mean": 0.13, "variance": 0.1}}, *CNN],
        "loss": {"CategoricalCrossentropy": {"label_smoothing": 0.1}},
        "optimizer": {"Adam": {"learning_rate": {"OneCycle": {"maximal_learning_rate": 0.01}}, "use_ema": True}},
        "augmentation": [{"RandomRotation": {"factor": 0.1}}, {"RandomZoom": {"height_factor": 0.1}}],
    },
    "dense by XLA": {"layers": DENSE, "optimizer": ADAM, "threads": 2},
}
TIMES = {"train_seconds"}


def same(a, b):
    """Compare two (model, rows) but for times."""
    (model, rows), (other, others) = a, b
    assert model.weights.keys() == other.weights.keys()
    assert all(np.array_equal(model.weights[name], other.weights[name]) for name in model.weights)
    assert [{k: row[k] for k in row if k not in TIMES} for row in rows] == [
        {k: row[k] for k in row if k not in TIMES} for row in others
    ]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("net", NETS)
def test_a_run_stopped_after_any_step_goes_on_to_the_same_bits(net, digit_splits, tmp_path, monkeypatch):
    from mnist_hpc.training import trainer

    wanted = specification(**NETS[net], steps=30)
    undisturbed = trainer.Trainer(wanted, *digit_splits, wanted["threads"]).train(0, report=lambda _: None)
    monkeypatch.setattr(training, "FIRST_CALL", 1)
    monkeypatch.setattr(training, "CALL_SECONDS", 1e-9)  # one step a call: every moment is a moment to stop
    trainer = trainer.Trainer(wanted, *digit_splits, wanted["threads"])
    draw = random.Random(0)
    lines = []
    while True:
        calls = iter(range(draw.randint(1, 9), -1, -1))
        try:
            result = trainer.train(0, lines.append, Checkpoint(tmp_path / "seed.h5"), stop=lambda: not next(calls))  # noqa: B023
            break
        except Interrupted:
            continue
    same(result, undisturbed)
    assert result[0].facts["windows"] > 3
    assert sum("goes on at step" in line for line in lines) == result[0].facts["windows"] - 1


def command(folder, digits, net, *more):
    """Return the arguments of a training that takes seconds, saving as often as it can."""
    wanted = specification(**NETS[net], steps=400 if "cnn" in net else 4000)
    return [
        *("train", "--data", digits / "train.h5", "--variant", net, "--specification", json.dumps(wanted)),
        *("--seeds", "0-1", "--models", folder / "models.h5", "--history", folder / "history.csv"),
        *("--state", folder / "state", "--checkpoint-seconds", "0", *more),
    ]


def start(arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "mnist_hpc", *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )


def results(folder):
    _, models = read_models(folder / "models.h5")
    rows = csv_table.read(folder / "history.csv")
    for row in rows:
        del row["checksum"]  # times are part of it
    return [(model, [row for row in rows if row["seed"] == str(seed)]) for seed, model in models.items()]


@pytest.fixture(scope="module")
def undisturbed(digits, tmp_path_factory):
    """Return a function that gives the results of a net that nobody killed."""
    cache = {}

    def get(net):
        if net not in cache:
            folder = tmp_path_factory.mktemp(net)
            done = run(*command(folder, digits, net))
            assert done.returncode == 0, done.stderr
            cache[net] = results(folder)
        return cache[net]

    return get


@pytest.mark.parametrize("kill", range(int(os.environ.get("KILLS", "1"))))
@pytest.mark.parametrize("net", NETS)
def test_a_killed_process_ends_in_the_same_bits_when_started_again(net, kill, digits, tmp_path, undisturbed):
    expected = undisturbed(net)
    total = sum(model.facts["train_seconds"] for model, _ in expected)
    moment = random.Random(f"{net} {kill}")
    process = start(command(tmp_path, digits, net))
    for line in process.stderr:  # the first line of progress: training has begun
        if ": step " in line:
            break
    try:
        process.wait(timeout=moment.uniform(0, 2 * total))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    again = run(*command(tmp_path, digits, net))
    assert again.returncode == 0, again.stderr
    for found, wanted in zip(results(tmp_path), expected, strict=True):
        same(found, wanted)


def test_a_signal_saves_at_once_and_the_next_start_goes_on_there(digits, tmp_path, undisturbed):
    process = start(command(tmp_path, digits, "cnn", "--checkpoint-seconds", "3600"))
    for line in process.stderr:
        if ": step " in line:
            break
    begin = time.monotonic()
    process.terminate()
    _, rest = process.communicate()
    assert time.monotonic() - begin < 10
    assert process.returncode == 75
    assert re.search(r"mnist_hpc: interrupted: seed 0: step \d+ of 400, saved; run again to go on", rest)
    assert not (tmp_path / "models.h5").exists()
    again = run(*command(tmp_path, digits, "cnn"))
    assert "seed 0: goes on at step" in again.stderr
    for found, wanted in zip(results(tmp_path), undisturbed("cnn"), strict=True):
        same(found, wanted)
    assert [model.facts["windows"] for model, _ in results(tmp_path)] == [2, 1]


def test_a_finished_training_is_taken_over_and_not_repeated(digits, tmp_path):
    assert run(*command(tmp_path, digits, "dense")).returncode == 0
    before = results(tmp_path)
    (tmp_path / "models.h5").unlink()
    (tmp_path / "history.csv").unlink()
    again = run(*command(tmp_path, digits, "dense"))
    assert again.stderr.count("finished by an earlier process, taken over") == 2
    assert ": step " not in again.stderr
    for found, wanted in zip(results(tmp_path), before, strict=True):
        same(found, wanted)
        assert found[0].facts == wanted[0].facts


def test_a_checkpoint_of_another_specification_is_not_used(digits, tmp_path):
    arguments = command(tmp_path, digits, "dense")
    assert run(*arguments).returncode == 0
    arguments[arguments.index("--specification") + 1] = json.dumps(specification(**NETS["dense"], steps=50))
    other = run(*arguments)
    assert other.returncode == 0
    assert "taken over" not in other.stderr
    assert "goes on" not in other.stderr


@pytest.fixture
def saved(tmp_path):
    """Return a checkpoint with something in it."""
    checkpoint = Checkpoint(tmp_path / "seed.h5")
    checkpoint.save({"step": 3}, {"model/0": np.arange(5.0), "optimizer/0": np.array(7)})
    return checkpoint


def test_what_is_saved_is_loaded(saved):
    record, arrays = saved.load()
    assert record == {"step": 3}
    assert {name: value.tolist() for name, value in arrays.items()} == {
        "model/0": [0, 1, 2, 3, 4],
        "optimizer/0": 7,
    }
    assert Checkpoint(saved.path.with_name("other.h5")).load() is None


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    position = content.index(np.arange(5.0).tobytes()) + 12
    content[position] ^= 1
    path.write_bytes(content)


def drop_an_array(path):
    with h5py.File(path, "a") as file:
        del file["arrays/model"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no checkpoint"),
        flip_a_bit,
        drop_an_array,
    ],
    ids=["cut short", "empty", "text", "one bit", "an array missing"],
)
def test_a_damaged_checkpoint_is_discarded_with_a_warning(saved, damage):
    damage(saved.path)
    with pytest.raises(UserError, match="damaged checkpoint removed"):
        saved.load()
    assert saved.load() is None


def test_a_checkpoint_of_another_seed_or_training_is_not_taken(saved, tmp_path):
    for place in ("seed-1.h5", "other/seed.h5"):
        copied = Checkpoint(tmp_path / place)
        copied.path.parent.mkdir(exist_ok=True)
        copied.path.write_bytes(saved.path.read_bytes())
        with pytest.raises(UserError, match="damaged checkpoint removed"):
            copied.load()
    assert saved.load()


@pytest.mark.usefixtures("tensorflow")
def test_a_training_with_a_damaged_checkpoint_starts_anew(saved, digit_splits):
    from mnist_hpc.training import trainer

    flip_a_bit(saved.path)
    lines = []
    trainer = trainer.Trainer(specification(), *digit_splits, threads=1)
    same(trainer.train(0, lines.append, saved), trainer.train(0, lines.append))
    assert "warning: " in lines[0]
    assert "damaged checkpoint removed" in lines[0]


def test_removing_a_seed_leaves_the_others(tmp_path):
    places = [tmp_path / f"state/mnist/cnn/{identity}/seed-{seed}.h5" for identity in "ab" for seed in (0, 1, 10)]
    for place in places:
        Checkpoint(place).save({}, {})
    checkpoint.remove(tmp_path, "mnist", "cnn", 1)
    assert {place for place in places if place.exists()} == {p for p in places if p.stem != "seed-1"}
    for seed in (0, 10):
        checkpoint.remove(tmp_path, "mnist", "cnn", seed)
    assert not (tmp_path / "state").exists()
