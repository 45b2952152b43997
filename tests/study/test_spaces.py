"""Spaces of hyper-parameters: which points are tried, the same ones every time, and all of them inside."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import qmc

from conftest import specification
from mnist_hpc.errors import UserError
from mnist_hpc.study import spaces

RATE = {"log_uniform": [0.001, 1.0]}
SPACE = {
    "learning_rate": RATE,
    "momentum": {"uniform": [0.0, 0.9]},
    "batch_size": {"integers": [16, 255]},
    "optimizer": ["SGD", {"SGD": {"nesterov": True}}],
}


def columns(space, count):
    points = spaces.sampled(space, count)
    return {key: [point[key] for point in points] for key in space}


def test_every_part_of_a_range_gets_as_many_points_as_its_width():
    """A scrambled Sobol sequence of 2^k points has one in each of 2^k equal intervals of every dimension."""
    found = columns(SPACE, 64)
    places = {
        "learning_rate": np.log10(np.array(found["learning_rate"])) / 3 + 1,
        "momentum": np.array(found["momentum"]) / 0.9,
        "batch_size": (np.array(found["batch_size"]) - 16) / 240,
    }
    for key, place in places.items():
        counts = np.histogram(place, bins=16, range=(0, 1))[0]
        # Numbers are rounded to four digits: one may have moved across a border.
        assert abs(counts - 4).max() <= (0 if key == "batch_size" else 1), key
    assert [found["optimizer"].count(value) for value in SPACE["optimizer"]] == [32, 32]


def test_points_are_those_of_scipy_s_sequence():
    places = qmc.Sobol(3, rng=spaces.SEED).random(8)
    found = columns({key: SPACE[key] for key in ("learning_rate", "momentum", "batch_size")}, 8)
    assert found["learning_rate"] == pytest.approx(10 ** (3 * places[:, 0] - 3), rel=1e-3)
    assert found["momentum"] == pytest.approx(0.9 * places[:, 1], rel=1e-3)
    assert found["batch_size"] == np.floor(16 + 240 * places[:, 2]).tolist()


def test_points_cover_the_space_better_than_random_ones_and_well_in_pairs_of_dimensions():
    found = columns({"a": {"uniform": [0, 1]}, "b": {"uniform": [0, 1]}, "c": {"uniform": [0, 1]}}, 64)
    sample = np.array(list(found.values())).T
    random = [qmc.discrepancy(np.random.default_rng(seed).random((64, 3))) for seed in range(20)]
    assert qmc.discrepancy(sample) < min(random)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 63, 64, 65, 300])
def test_more_points_begin_with_the_same_ones(count):
    assert spaces.sampled(SPACE, 300)[:count] == spaces.sampled(SPACE, count)


def test_another_key_or_range_changes_all_points():
    rates = columns({"learning_rate": RATE}, 8)["learning_rate"]
    with_another = columns({"learning_rate": RATE, "l2": {"uniform": [0, 0.1]}}, 8)["learning_rate"]
    wider = columns({"learning_rate": {"log_uniform": [0.001, 2.0]}}, 8)["learning_rate"]
    # Two sequences may have a number of four digits in common by chance.
    assert len(set(rates) & set(with_another)) < 2
    assert len(set(rates) & set(wider)) < 2


def test_values_lie_within_their_range_and_have_the_type_of_what_they_stand_for():
    # Rounded to four digits, 0.99999 would be a momentum of 1, and 0.123456 below the range.
    space = {
        "momentum": {"uniform": [0.9999, 0.99999]},
        "l2": {"log_uniform": [0.123456, 0.12359]},
        "batch_size": {"integers": [3, 5]},
        "width": {"integers": [3.0, 5.0]},
    }
    found = columns(space, 16)
    assert 0.9999 <= min(found["momentum"]) <= max(found["momentum"]) <= 0.99999
    assert 0.123456 <= min(found["l2"]) <= max(found["l2"]) <= 0.12359
    for key in ("batch_size", "width"):
        assert set(found[key]) == {3, 4, 5}
        assert {type(value) for value in found[key]} == {int}
    assert {type(value) for value in found["momentum"] + found["l2"]} == {float}


def test_all_values_of_a_small_space_are_tried_once():
    space = {"batch_size": {"integers": [1, 7]}, "nesterov": [True, False], "momentum": [0.0, 0.5, 0.9]}
    found = spaces.sampled(space, 42)
    assert len({tuple(point.values()) for point in found}) == 42


def test_a_space_in_which_points_do_not_differ_ends_with_the_reason():
    """However few values four digits leave."""
    assert len(spaces.sampled({"momentum": {"uniform": [0.9, 0.99]}}, 900)) == 900
    with pytest.raises(UserError, match="points: found 20, expected at most the 2 that differ in 4 digits"):
        spaces.sampled({"l2": {"uniform": [0.1, 0.1001]}}, 20)


@pytest.mark.parametrize("dimension", [RATE, {"uniform": [-1, 3]}, {"integers": [3, 10]}, [1, 2, 5]], ids=str)
def test_a_value_knows_its_place(dimension):
    low, high = spaces.bounds(dimension)[0], spaces.bounds(dimension)[-1]
    assert (spaces.place_of(dimension, low), spaces.place_of(dimension, high)) == (0, 1)
    places = [spaces.place_of(dimension, spaces.value_at(dimension, place)) for place in np.linspace(0, 0.999, 50)]
    assert places == sorted(places)


def test_each_point_sees_the_images_of_the_sweep_in_whole_batches():
    sweep = {"specification": specification(), "space": [["batch_size", {"integers": [16, 255]}]], "points": 20}
    for point in spaces.tried(sweep | {"images": 10_000}):
        batch, steps = point.values["batch_size"], point.values["steps"]
        assert (point.specification["batch_size"], point.specification["steps"]) == (batch, steps)
        assert 10_000 - batch < batch * steps <= 10_000
    # What the variant says otherwise: passes over the data.
    passes = {key: value for key, value in specification(epochs=3).items() if key != "steps"}
    (point, *_) = spaces.tried(sweep | {"images": 10_000, "specification": passes})
    assert "epochs" not in point.specification
    grid = {"specification": specification(), "grid": [["batch_size", [30, 100]]], "points": [1], "images": 1000}
    assert [(point.place, point.values) for point in spaces.tried(grid)] == [(1, {"batch_size": 100, "steps": 10})]


def test_a_study_with_a_space_is_read_without_scipy(tmp_path):
    """Every job on a cluster reads it again."""
    (tmp_path / "config.yaml").write_text(
        "dataset: digits\nseeds: 1\nvariants:\n  r: {layers: [Flatten, {Dense: {units: 10}}], optimizer: SGD, "
        "batch_size: 100, steps: 90}\nsweeps:\n  s:\n    variant: r\n    points: 9\n    halving: {}\n"
        "    space: {learning_rate: {log_uniform: [0.01, 1]}}\n"
    )
    program = (
        "import sys; from pathlib import Path; from mnist_hpc.study import check; "
        "study = check.load(Path('config.yaml')); print(study.sweeps['s'].json, study.hash, "
        "{name.partition('.')[0] for name in sys.modules} & {'scipy', 'tensorflow', 'h5py', 'pandas'})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith(" set()\n")


def test_log_uniform_numbers_are_equally_likely_in_each_decade():
    rates = np.array(columns({"learning_rate": {"log_uniform": [1e-4, 1.0]}}, 1024)["learning_rate"])
    counts = [int(((10.0**decade <= rates) & (rates < 10.0 ** (decade + 1))).sum()) for decade in range(-4, 0)]
    assert counts == pytest.approx([256] * 4, abs=2)
    assert math.log10(np.median(rates)) == pytest.approx(-2, abs=0.02)
