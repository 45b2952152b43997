"""The benchmarks measure what they say: contenders learn, ratios are pair by pair, bits and profiles are read right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import bench
import gpu
import gpu_profile
import scale
import search
import summary
from contenders.protocol import WORKLOADS, order

import training
from conftest import ROOT, specification, trainer_of
from mnist_hpc.training.models_file import Model, write_models

OWN = [name for name, (_, where) in training.FILES.items() if where == "own"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == summary.OURS else pytest.mark.campaign) for name in OWN]
)
def test_a_contender_trains_when_told_to_and_learns(digits, name):
    with training.arrays(digits) as path:
        contender = training.Contender(name, "regression", path, Path("peers"), threads=1)
        try:
            results = [contender.train() for _ in range(2)]
        finally:
            contender.close()
    assert all(result["seconds"] > 0 for result in results)
    assert all(0.8 < result["accuracy"] < 1 for result in results)
    assert {result["device"] for result in results} <= {"CPU", "GPU"}


def test_a_contender_that_does_not_start_says_why(digits):
    with training.arrays(digits) as path, pytest.raises(RuntimeError, match="no-such-net"):
        training.Contender("mnist-hpc", "no-such-net", path, Path("peers"), threads=1)


def test_all_contenders_see_as_many_images():
    for workload in WORKLOADS.values():
        batches = order(workload, 1257, seed=0)
        assert batches.shape == (workload.steps, workload.batch)
        assert np.bincount(batches.ravel()[:1257], minlength=1257).max() == 1


def test_ratios_are_medians_of_pairs():
    seconds = {summary.OURS: [1.0, 2.0, 4.0], "Keras fit": [8.0, 8.0, 8.0]}
    table = pd.DataFrame(
        {"workload": "regression", "call": "later", "contender": name, "round": place, "seconds": value}
        for name, values in seconds.items()
        for place, value in enumerate(values)
    )
    (line,) = summary.ratios(table)
    assert (line["median"], line["n"]) == (4.0, 3)


def test_ratios_leave_out_calls_of_which_one_failed():
    table = pd.DataFrame(
        {"workload": "cnn", "call": "later", "contender": name, "round": place, "seconds": value}
        for name, values in {summary.OURS: [1.0, 2.0], "JAX": [3.0, np.nan], "PyTorch": [np.nan, np.nan]}.items()
        for place, value in enumerate(values)
    )
    (line,) = summary.ratios(table)
    assert (line["what"], line["median"], line["n"]) == ("cnn, later call: JAX / mnist-hpc", 3.0, 1)


@pytest.mark.slow
def test_a_generated_study_is_planned_and_tabulated(monkeypatch):
    monkeypatch.setattr(scale, "VARIANTS", 5)
    monkeypatch.setattr(scale, "JOBS", (10,))
    assert [row["work"] for row in scale.measure(Path("none"), Path("none"), 1)] == ["dry run", "tables"]


def test_rows_that_were_measured_outlast_an_error(tmp_path):
    def rows():
        yield {"seconds": 1.5}
        yield {"seconds": 2.5, "error": "none, really"}
        raise RuntimeError("the machine is gone")

    with pytest.raises(RuntimeError, match="gone"):
        bench.write(tmp_path / "table.csv", rows())
    assert pd.read_csv(tmp_path / "table.csv")["seconds"].tolist() == [1.5, 2.5]


def test_weights_are_compared_bit_by_bit(tmp_path):
    kernel, bias = np.ones((3, 2), np.float32), np.zeros(2, np.float32)
    for name, value in (("one", bias), ("same", bias.copy()), ("signed", -bias), ("shifted", bias + 0.5)):
        write_models(tmp_path / name, {}, {0: Model({}, {"dense/kernel": kernel, "dense/bias": value})})
    write_models(tmp_path / "other", {}, {0: Model({}, {"dense/kernel": kernel})})

    def compared(name):
        row = gpu.compared(tmp_path / "one", tmp_path / name)
        assert row["arrays"] == 2
        return row["equal"], row["different"], row["largest_difference"]

    assert compared("same") == ("yes", 0, 0.0)
    assert compared("signed") == ("no", 1, 0.0)
    assert compared("shifted") == ("no", 1, 0.5)
    with pytest.raises(RuntimeError, match="other weights"):
        compared("other")


@pytest.mark.campaign
def test_a_training_is_interrupted_and_resumed_with_the_same_bits(digits, tmp_path):
    one = gpu.Bench(digits, Path("peers"), 1, tmp_path, rehearsal=True)
    first, resumed = tmp_path / "first", tmp_path / "resumed"
    steps = 4000  # after a third of them, seconds are left in which the signal arrives
    gpu.process(one.train("hidden-relu", "0", first, steps=steps))
    command = [*one.train("hidden-relu", "0", resumed, steps=steps), "--state", str(tmp_path / "state")]
    row = gpu.interrupted(command, first, resumed)
    assert (row["equal"], row["arrays"]) == ("yes", 4)
    assert steps / 3 <= int(row["interrupted_at"].split()[1]) < steps
    # What has ended cannot be interrupted.
    command = [sys.executable, "-c", ""]
    assert "exit code 0" in gpu.attempt({}, gpu.interrupted, command, first, resumed)["error"]


def test_a_profile_of_a_gpu_is_summed_by_kernel(tmp_path):
    pytest.importorskip("tensorflow")
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="/device:GPU:0")
    for number, name in enumerate(("product", "update", "whole program")):
        plane.event_metadata[number].name = name
    microsecond = 1_000_000  # in picoseconds
    # Two products, a pause, and an update that another stream begins while the second product still runs.
    for line, begin, events in (
        ("Stream #1(Compute)", 0, [(0, 0, 4), (0, 6, 4)]),
        ("Stream #2(Compute)", 1, [(1, 7, 12)]),
        ("XLA Modules", 0, [(2, 0, 20)]),
    ):
        added = plane.lines.add(name=line, timestamp_ns=1000 * begin)
        for number, offset, duration in events:
            added.events.add(metadata_id=number, offset_ps=offset * microsecond, duration_ps=duration * microsecond)
    space.planes.add(name="/host:CPU").lines.add(name="thread").events.add(metadata_id=0, duration_ps=microsecond)
    (tmp_path / "profile").write_bytes(space.SerializeToString())
    rows = gpu_profile.shares(gpu_profile.read(tmp_path / "profile", "/device:GPU:"), steps=2)
    assert [(row["kernel"], row["calls"], row["microseconds_a_step"]) for row in rows] == [
        ("update", 1, 6.0),
        ("product", 2, 4.0),
        ("(others)", 0, 0.0),
        ("(idle between kernels)", 0, 1.0),
    ]
    assert [row["share"] for row in rows] == pytest.approx([0.6, 0.4, 0, 0.1])


def test_a_profile_is_made_of_a_loop_as_a_gpu_has_it(digits, tmp_path):
    command = [sys.executable, gpu_profile.__file__, "hidden-relu", "20", str(digits), "1", "1", str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout.splitlines()[-1])
    assert rows[0]["microseconds_a_step"] > 0
    assert any("MatMul" in row["kernel"] for row in rows)
    assert gpu_profile.read(tmp_path / "kept", "/host:CPU")


def test_without_a_gpu_one_line_says_how_to_rehearse(digits, tmp_path):
    command = [sys.executable, bench.__file__, "--only", "gpu", "--data", str(digits), "--output", str(tmp_path)]
    environment = dict(os.environ) | {"CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "no GPU" in done.stdout.splitlines()[0]
    assert "--rehearse" in done.stdout.splitlines()[0]
    assert not list(tmp_path.glob("gpu*"))


PEERS = ROOT / ".venv-peers/bin/python"
# Of trainings of 3,600 images; nine points that are halved in two rungs train five times as many, finalists four times.
SPACE = {
    "space": [["learning_rate", {"log_uniform": [0.01, 1.0]}]],
    "points": 9,
    "seeds": 1,
    "pack_mb": 100,
    "halving": {"first": "1/3", "factor": 3, "finalists": 2, "fresh_seeds": 2},
}


def search_of(splits, folder, repetition):
    from mnist_hpc.training.sweep import Trainings

    return search.Search(Trainings(*splits, folder, lambda _: None, lambda: False), (28, 28, 1), repetition)


@pytest.mark.usefixtures("tensorflow")
def test_methods_of_search_train_as_many_images_and_their_choice_is_judged_alone(digit_splits, tmp_path):
    sweep = SPACE | {"specification": specification(steps=36)}
    halved, random = (search_of(digit_splits, tmp_path / name, 1) for name in ("halving", "random"))
    halved.halving(sweep)
    random.random(sweep)
    assert [len(halved.points), len(random.points)] == [9, 5]
    assert [sum(row["images"] for row in one.rows) for one in (halved, random)] == [9 * 3600, 9 * 3600]
    assert {row["seed"] for row in halved.rows} == {1_001_000, 2_001_000, 2_001_001}

    judged = halved.judged()
    rate = json.loads(judged["chosen"])["learning_rate"]
    alone = trainer_of(digit_splits, steps=36, optimizer={"SGD": {"learning_rate": rate}})
    losses = [alone.train(seed, lambda _: None)[0].rows[-1]["validation_loss"][0] for seed in search.JUDGING]
    assert judged["judging_seeds"] == 5
    assert judged["validation_loss"] == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="no .venv-peers; `make bench` makes it")
@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("pruner", search.PEERS.values())
def test_optuna_searches_with_as_many_images(digit_splits, tmp_path, pruner):
    found = search_of(digit_splits, tmp_path, 0)
    found.peer(SPACE | {"specification": specification(steps=36)}, PEERS, pruner)
    assert 9 * 3600 <= sum(row["images"] for row in found.rows) < 10 * 3600
    assert len(found.points) > 5  # some were not trained to their end


def test_searches_of_an_earlier_run_are_kept_and_failed_ones_run_again(tmp_path):
    methods = [*search.OWN, *search.PEERS]
    rows = [{"method": name, "repetition": 0, "error": "killed" if name == "random" else ""} for name in methods]
    bench.write(tmp_path / "search.csv", rows)
    kept = bench.whole_rows(tmp_path / "search.csv")
    again = search.measure("search-regression", kept, tmp_path, PEERS, 1, rehearsal=False, repetitions=1)
    bench.write(tmp_path / "search.csv", again, kept)
    table = pd.read_csv(tmp_path / "search.csv", keep_default_na=False)
    assert table["method"].tolist() == [name for name in methods if name != "random"] + ["random"]
    assert [bool(error) for error in table["error"]] == [False] * 4 + [True]
    assert "train.h5: not found" in table["error"].iloc[-1]


def test_searches_are_compared_with_the_grid_of_the_same_repetition(tmp_path):
    columns = ["method", "repetition", "images", "validation_loss"]
    rows = [("grid", 0, 100, 0.30), ("grid", 1, 300, 0.32), ("halving", 0, 50, 0.31), ("halving", 1, 100, 0.31)]
    table = pd.DataFrame(rows, columns=columns).assign(
        problem="regression", validation_accuracy=0.9, seconds=1.0, processor_seconds=1.0
    )
    medians = {line["what"]: line["median"] for line in summary.searches(table)}
    assert medians["search: regression, halving: images"] == 75
    assert medians["search: regression, images: grid / halving"] == pytest.approx(2.5)  # of 2 and 3
    assert medians["search: regression, validation_loss: halving - grid"] == pytest.approx(0.0)  # of 0.01 and -0.01
    summary.draw_searches(table, tmp_path / "search.svg")
    assert "halving" in (tmp_path / "search.svg").read_text()
