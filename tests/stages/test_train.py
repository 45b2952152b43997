"""Training as a job: killed, stopped or finished, it ends in the bits of an undisturbed one when started again."""

import json
import os
import random
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from conftest import call, run, specification, without_times
from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.stages import convert
from mnist_hpc.study.datasets import BUILT_IN
from mnist_hpc.training.models_file import read_models

pytestmark = pytest.mark.usefixtures("tensorflow")

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
    "dense": {"layers": DENSE, "optimizer": {"SGD": {"learning_rate": 0.1}}, "steps": 400},
    "cnn": {"layers": CNN, "optimizer": ADAM, "steps": 100},
    # A schedule, averaged weights and images moved at random: what depends on the number of the step.
    "cnn-recipe": {
        "layers": [{"Normalization": {}}, *CNN],
        "loss": {"CategoricalCrossentropy": {"label_smoothing": 0.1}},
        "optimizer": {"Adam": {"learning_rate": {"OneCycle": {"maximal_learning_rate": 0.01}}, "use_ema": True}},
        "augmentation": [{"RandomRotation": {"factor": 0.1}}, {"RandomZoom": {"height_factor": 0.1}}],
        "steps": 100,
    },
}


def command(folder, digits, net, *more, **changes):
    """Return the arguments of a training that takes seconds, saving as often as it can."""
    return [
        *("train", "--data", digits / "train.h5", "--variant", net),
        *("--specification", json.dumps(specification(**NETS[net] | changes))),
        *("--seeds", "0-1", "--models", folder / "models.h5", "--history", folder / "history.csv"),
        *("--state", folder / "state", "--checkpoint-seconds", "0", *more),
    ]


# A command that sends itself a signal when it has printed a text a number of times.
STRUCK = """
import os, sys
from mnist_hpc.__main__ import main

number, text, left, *arguments = sys.argv[1:]
write, left = sys.stderr.write, int(left)

def struck(line):
    global left
    write(line)
    left -= text in line
    if text in line and not left:
        os.kill(os.getpid(), int(number))

sys.stderr.write = struck
sys.exit(main(arguments))
"""


def struck(arguments, number, text, count=1):
    """Run a training, in a process of its own, that gets a signal at the ``count``-th line with this text."""
    program = [sys.executable, "-c", STRUCK, number, text, count, *arguments]
    return subprocess.run([*map(str, program)], stderr=subprocess.PIPE, text=True, check=False)


def results(folder):
    """Return specification, models and learning curves, without times."""
    header, models = read_models(folder / "models.h5")
    return header, models, without_times(csv_table.read(folder / "history.csv"))


def assert_same(found, expected):
    (header, models, rows), (expected_header, expected_models, expected_rows) = found, expected
    assert header == expected_header
    assert rows == expected_rows
    assert models.keys() == expected_models.keys()
    for seed, model in models.items():
        for name, value in expected_models[seed].weights.items():
            assert np.array_equal(model.weights[name], value), (seed, name)


@pytest.fixture(scope="module")
def undisturbed(digits, tmp_path_factory):
    """Return a function that gives the results of a net that nobody stopped, trained in this process."""
    cache = {}

    def get(net):
        if net not in cache:
            folder = tmp_path_factory.mktemp(net)
            done = call(*command(folder, digits, net, "--checkpoint-seconds", "3600"))
            assert done.returncode == 0, done.stderr
            cache[net] = results(folder)
        return cache[net]

    return get


@pytest.mark.slow
@pytest.mark.parametrize("kill", range(int(os.environ.get("KILLS", "1"))))
@pytest.mark.parametrize(
    "net", [pytest.param(net, marks=() if net == "cnn-recipe" else pytest.mark.campaign) for net in NETS]
)
def test_a_killed_process_ends_in_the_same_bits_when_started_again(net, kill, digits, tmp_path, undisturbed):
    moment = random.Random(f"{net} {kill}")
    seed, line = moment.randrange(2), moment.randrange(2, 20)
    assert struck(command(tmp_path, digits, net), signal.SIGKILL, f"seed {seed}: step ", line).returncode == -9
    again = call(*command(tmp_path, digits, net))
    assert again.returncode == 0, again.stderr
    assert f"seed {seed}: continues at step " in again.stderr
    assert_same(results(tmp_path), undisturbed(net))


def test_a_signal_saves_at_once_and_the_next_start_continues_there(digits, tmp_path, undisturbed):
    arguments = command(tmp_path, digits, "cnn", "--checkpoint-seconds", "3600")
    stopped = struck(arguments, signal.SIGTERM, "seed 0: step ")
    assert stopped.returncode == 75
    assert re.search(r"mnist_hpc: interrupted: seed 0: step \d+ of 100, saved; run again to continue", stopped.stderr)
    assert not (tmp_path / "models.h5").exists()
    again = call(*command(tmp_path, digits, "cnn"))
    assert "seed 0: continues at step" in again.stderr
    assert_same(results(tmp_path), undisturbed("cnn"))
    assert [model.facts["windows"] for model in results(tmp_path)[1].values()] == [2, 1]


def test_a_finished_training_is_taken_over_and_not_repeated(digits, tmp_path):
    arguments = command(tmp_path, digits, "dense", steps=50)
    assert call(*arguments).returncode == 0
    before = results(tmp_path)
    (tmp_path / "models.h5").unlink()
    (tmp_path / "history.csv").unlink()
    again = call(*arguments)
    assert again.stderr.count("already trained by an earlier process") == 2
    assert ": step " not in again.stderr
    assert_same(results(tmp_path), before)
    assert {seed: model.facts for seed, model in results(tmp_path)[1].items()} == {
        seed: model.facts for seed, model in before[1].items()
    }


def test_snapshots_are_beside_the_weights_also_when_an_earlier_process_took_them(tmp_path):
    convert.run("circle", "circle", BUILT_IN["circle"], tmp_path)
    layers = [{"Dense": {"units": 3, "activation": "tanh"}}, {"Dense": {"units": 2}}]
    arguments = command(tmp_path, tmp_path, "dense", layers=layers, steps=50, snapshots=4)
    found = []
    for _ in range(2):
        done = call(*arguments)
        assert done.returncode == 0, done.stderr
        header, models, _ = results(tmp_path)
        assert header["snapshots"] == 4
        found.append(models)
        (tmp_path / "models.h5").unlink()
    assert "already trained by an earlier process" in done.stderr
    for seed in (0, 1):
        first, second = (models[seed].snapshots for models in found)
        assert first["steps"].tolist() == [0, 10, 17, 29, 50]  # 10 × 5^(k / 3)
        assert np.array_equal(first["01_dense/kernel"][-1], found[0][seed].weights["01_dense/kernel"])
        assert first.keys() == second.keys() == {"steps", *found[0][seed].weights}
        assert all(np.array_equal(first[name], second[name]) for name in first)


# Another kind of device for the same process: a processor with fewer instructions, as oneDNN and TensorFlow see it.
OLDER = {"ONEDNN_MAX_CPU_ISA": "AVX2"}


def places_of(folder):
    """Return kind and file of each checkpoint."""
    return sorted(path.relative_to(folder).parts[-2:] for path in (folder / "state").rglob("*.h5"))


def has_bfloat16():
    from mnist_hpc.training import device

    return device.half_precision() != "float32"


@pytest.mark.parametrize("policy", [pytest.param("float32", marks=pytest.mark.slow), "mixed_bfloat16"])
def test_on_another_kind_of_device_a_training_starts_over_and_both_checkpoints_stay(digits, tmp_path, policy):
    """Seed 0 finished and seed 1 under way on this processor, then all on one without its newer instructions."""
    if not has_bfloat16():
        pytest.skip("this processor has no bfloat16, so the older kind may be its own")
    changes = {"steps": 60, "dtype_policy": policy}
    arguments = command(tmp_path, digits, "cnn", **changes)
    assert call(*command(tmp_path, digits, "cnn", "--seeds", "0", **changes)).returncode == 0
    (tmp_path / "models.h5").unlink()
    assert struck(arguments, signal.SIGTERM, "seed 1: step ").returncode == 75
    begun = places_of(tmp_path)
    assert [file for _, file in begun] == ["seed-0.h5", "seed-1.h5"]
    (kind,) = {kind for kind, _ in begun}

    undisturbed = tmp_path / "undisturbed"
    assert run(*command(undisturbed, digits, "cnn", **changes), **OLDER).returncode == 0
    moved = run(*arguments, **OLDER)
    assert moved.returncode == 0, moved.stderr
    assert_same(results(tmp_path), results(undisturbed))
    facts = results(tmp_path)[1][0].facts
    assert (facts["windows"], facts["dtype_policy"]) == (1, "float32")
    (line,) = [line for line in moved.stderr.splitlines() if "starts over" in line]
    (other,) = {place for place, _ in places_of(tmp_path)} - {kind}
    assert line == f"cnn: starts over on {other}: the checkpoints of {kind} stay"
    assert ("AVX2" in other, "AVX2" in kind, "continues" in moved.stderr) == (True, False, False)
    assert set(begun) < set(places_of(tmp_path))

    back = run(*arguments)
    assert "seed 0: already trained by an earlier process" in back.stderr
    assert "seed 1: continues at step " in back.stderr
    assert "starts over" not in back.stderr
    header, models, _ = results(tmp_path)
    assert header == results(undisturbed)[0]  # the specification is the same on both
    assert models[1].facts["dtype_policy"] == policy
    others = results(undisturbed)[1]
    assert any(not np.array_equal(models[0].weights[name], value) for name, value in others[0].weights.items())


def test_another_number_of_threads_is_another_kind(digits, tmp_path):
    arguments = command(tmp_path, digits, "dense", steps=50)
    assert call(*arguments).returncode == 0
    again = run(*arguments, "--threads", "2")
    assert "dense: starts over on " in again.stderr
    assert "already trained" not in again.stderr
    assert len(places_of(tmp_path)) == 4


@pytest.mark.parametrize("change", ["specification", "code", "data"])
def test_a_checkpoint_of_another_specification_code_or_data_is_not_used(digits, tmp_path, change):
    assert call(*command(tmp_path, digits, "dense", steps=50)).returncode == 0
    (tmp_path / "other").mkdir()
    with hdf5.reading(digits / "train.h5") as file, hdf5.writing(tmp_path / "other/train.h5", dict(file.attrs)) as copy:
        for part in ("train", "validation"):
            file.copy(part, copy)
        copy.attrs["data_hash"] = "other"
    arguments = {
        "specification": command(tmp_path, digits, "dense", steps=40),
        "code": command(tmp_path, digits, "dense", "--code-hash", "other", steps=50),
        "data": command(tmp_path, tmp_path / "other", "dense", steps=50),
    }
    done = call(*arguments[change])
    assert done.returncode == 0, done.stderr
    assert "already trained" not in done.stderr
    assert "continues" not in done.stderr


def test_a_job_with_fewer_threads_than_the_variant_asks_for_says_so_and_records_it(digits, tmp_path):
    result = call(*command(tmp_path, digits, "dense", "--threads", "1", threads=2, steps=5))
    assert "dense: the variant asks for 2 threads: the last bits may differ" in result.stderr
    assert results(tmp_path)[1][0].facts["threads"] == 1


def test_a_choice_of_a_sweep_completes_the_specification(digits, tmp_path):
    best = tmp_path / "best.json"
    content = {"values": {"learning_rate": 0.25, "steps": 7}}
    best.write_text(json.dumps(content | {csv_table.CHECKSUM: csv_table.checksum(content)}))
    assert call(*command(tmp_path, digits, "dense", "--choice", best)).returncode == 0
    header, models, _ = results(tmp_path)
    assert (header["optimizer"], header["steps"]) == ({"SGD": {"learning_rate": 0.25}}, 7)
    assert models[0].facts["steps"] == 7


def test_a_missing_gpu_is_an_error_where_one_is_required(digits, tmp_path):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    result = call(*command(tmp_path, digits, "dense", "--require-gpu", "1", steps=5))
    assert result.returncode == 2
    assert "a GPU is required and TensorFlow sees none on " in result.stderr


def test_a_training_on_the_cpu_sees_no_gpu_and_needs_none(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")  # restored afterwards
    result = call(*command(tmp_path, digits, "dense", "--require-gpu", "1", "--gpu", "0", steps=5))
    assert result.returncode == 0, result.stderr
    assert "slot" not in result.stderr
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
