"""Grids of hyper-parameters: each combination once, each point a variant of its own."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import specification
from mnist_hpc.study import grids

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
HIDDEN = [{"Flatten": {}}, {"Dense": {"units": 16, "activation": "relu"}}, {"Dense": {"units": 10}}]


@settings(max_examples=50)
@given(st.dictionaries(NAMES, st.lists(st.integers(), min_size=1, max_size=4, unique=True), min_size=1, max_size=4))
def test_a_grid_has_each_combination_once(grid):
    changed = {"layers": [{"Dense": {"units": 10}}], "optimizer": {"SGD": {}}, "steps": 1}
    points = grids.points(changed, grid)
    assert len(points) == math.prod(map(len, grid.values()))
    assert len({tuple(point.values.values()) for point in points}) == len(points)
    assert [point.place for point in points] == list(range(len(points)))


def test_optimisers_are_values_of_a_grid_and_come_before_their_arguments():
    grid = {"learning_rate": [0.1], "optimizer": ["Adam", {"SGD": {"momentum": 0.9}}]}
    found = grids.points(specification(), grid)
    assert [point.specification["optimizer"] for point in found] == [
        {"Adam": {"learning_rate": 0.1}},
        {"SGD": {"momentum": 0.9, "learning_rate": 0.1}},
    ]
    assert [grids.text(point.values["optimizer"]) for point in found] == ["Adam", '{"SGD": {"momentum": 0.9}}']


def test_a_number_for_a_scheduled_rate_is_its_highest():
    cycle = {"OneCycle": {"maximal_learning_rate": 1.0, "warmup": 0.1}}
    changed = grids.with_value(specification(optimizer={"Adam": {"learning_rate": cycle}}), "learning_rate", 0.5)
    assert changed["optimizer"]["Adam"]["learning_rate"] == {"OneCycle": {"maximal_learning_rate": 0.5, "warmup": 0.1}}


def test_a_width_is_that_of_all_dense_layers_but_the_last():
    layers = grids.with_value(specification(layers=HIDDEN), "width", 5)["layers"]
    assert layers == [{"Flatten": {}}, {"Dense": {"units": 5, "activation": "relu"}}, {"Dense": {"units": 10}}]


def test_steps_replace_epochs():
    changed = grids.with_value(specification(), "epochs", 3)
    assert changed["epochs"] == 3
    assert "steps" not in changed


GRIDS = [
    {"learning_rate": [0.1, 0.2]},
    {"learning_rate": [0.1], "optimizer": ["Adam", {"SGD": {"momentum": 0.9}}]},
    {"width": [4, 8], "batch_size": [20, "full"], "epochs": [1]},
    {"momentum": [0.5], "l2": [0.1], "initial_scale": [2.0]},
]


def test_what_a_point_replaces_is_not_part_of_what_it_starts_from():
    cycle = {"OneCycle": {"maximal_learning_rate": 1.0, "warmup": 0.1}}
    for optimizer in ({"SGD": {"learning_rate": 0.5, "momentum": 0.1}}, {"SGD": {"learning_rate": cycle}}):
        whole = specification(layers=HIDDEN, optimizer=optimizer, l2=0.5)
        for grid in GRIDS:
            rest = grids.without_values(whole, grid)
            assert rest != whole
            for point in grids.points(whole, grid):
                assert grids.with_values(rest, point.values) == point.specification


def test_a_training_sees_its_batches_or_whole_epochs():
    assert grids.images_seen({"batch_size": 20, "steps": 5}, 1000) == 100
    assert grids.images_seen({"batch_size": "full", "steps": 5}, 1000) == 5000
    assert grids.images_seen({"batch_size": 20, "epochs": 2}, 1000) == 2000


@pytest.mark.parametrize(
    ("keys", "steps", "batch"),
    [
        ({"batch_size": 30, "steps": 7}, 7, 30),
        ({"batch_size": 30, "epochs": 2}, 6, 30),
        ({"batch_size": "full", "epochs": 2}, 2, 100),
        ({"batch_size": 100, "epochs": 3}, 3, 100),
    ],
)
def test_an_epoch_is_a_pass_over_all_examples_as_far_as_batches_are_whole(keys, steps, batch):
    assert grids.steps_of(keys, 100) == steps
    assert grids.batch_of(keys, 100) == batch
