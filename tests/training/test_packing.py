"""Which points are trained together."""

import numpy as np
import pytest
from nets import CNN, HIDDEN

from conftest import specification
from mnist_hpc.study import grids

pytestmark = pytest.mark.usefixtures("tensorflow")

SHAPE = (28, 28, 1)
CYCLE = {"OneCycle": {"maximal_learning_rate": 1.0}}


def cut(grid, seeds=1, memory=10**9, **changes):
    """Return the values of a grid that each pack holds: a list a pack, in it a list a setting."""
    from mnist_hpc.training import packing

    packs = packing.packs(grids.points(specification(**changes), grid), range(seeds), SHAPE, memory)
    return [[[tuple(point.values.values()) for point in same] for same in pack.settings] for pack in packs]


def test_points_that_differ_in_their_steps_are_read_off_one_training():
    assert cut({"learning_rate": [0.1, 0.2], "steps": [10, 20]}) == [
        [[(0.1, 10), (0.1, 20)], [(0.2, 10), (0.2, 20)]],
    ]


def test_a_sweep_is_cut_into_packs_that_fit_the_memory():
    from mnist_hpc.training import packing

    grid = {"learning_rate": np.linspace(0.01, 1, 64).tolist(), "steps": [10, 20]}
    (pack,) = cut(grid)
    assert len(pack) == 64
    one = packing.bytes_per_setting(specification(), SHAPE)
    sizes = [len(pack) for pack in cut(grid, memory=10 * one)]
    assert sum(sizes) == 64
    assert max(sizes) <= 10
    assert len(cut(grid, memory=1)) == 64


def test_each_seed_is_a_pack_of_its_own():
    from mnist_hpc.training import packing

    points = grids.points(specification(), {"learning_rate": [0.1, 0.2]})
    assert [pack.seed for pack in packing.packs(points, [7, 8, 9], SHAPE, 10**9)] == [7, 8, 9]


@pytest.mark.parametrize(
    ("changes", "key", "together"),
    [
        ({}, "learning_rate", True),
        ({}, "batch_size", False),
        ({}, "momentum", True),
        ({"optimizer": {"RMSprop": {}}}, "momentum", False),
        ({"layers": HIDDEN}, "width", False),
        ({"layers": HIDDEN}, "l2", True),
        ({"layers": CNN}, "learning_rate", False),
        ({"layers": CNN}, "steps", True),
        ({"optimizer": {"AdamW": {}}}, "learning_rate", False),
        ({"optimizer": {"Adam": {"use_ema": True}}}, "learning_rate", False),
        ({"optimizer": {"SGD": {"learning_rate": CYCLE}}}, "learning_rate", False),
        ({"optimizer": {"SGD": {"clipnorm": 1.0}}}, "learning_rate", False),
        ({}, "global_clipnorm", False),
        ({"optimizer": {"Adam": {"global_clipnorm": 1.0}}}, "learning_rate", False),
        ({"optimizer": {"RMSprop": {"clipvalue": 1.0}}}, "learning_rate", False),
        ({"optimizer": {"Adagrad": {"weight_decay": 0.1}}}, "learning_rate", False),
        ({"optimizer": {"SGD": {"weight_decay": 0.0, "use_ema": False}}}, "learning_rate", True),
        ({"optimizer": {"RMSprop": {"centered": True, "momentum": 0.5}}}, "learning_rate", True),
        # Half of the way along a schedule is no training of half the length.
        ({"optimizer": {"SGD": {"learning_rate": CYCLE}}}, "steps", False),
        ({"augmentation": [{"RandomRotation": {"factor": 0.1}}]}, "learning_rate", False),
        ({"dtype_policy": "mixed_bfloat16"}, "learning_rate", False),
    ],
)
def test_what_can_be_trained_together_is(changes, key, together):
    values = [10, 20] if key in ("batch_size", "steps", "width") else [0.1, 0.2]
    assert len(cut({key: values}, **changes)) == (1 if together else 2)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW"])
def test_an_argument_that_a_pack_would_ignore_is_trained_alone_whatever_keras_adds(name):
    """Each argument that a config may have, one by one: heeded by packs, see test_sweep.py, or trained alone."""
    from mnist_hpc.study.schema import optimizer_arguments
    from mnist_hpc.training.packing import packable

    heeded = {"learning_rate", "momentum", "nesterov", "rho", "epsilon", "centered", "initial_accumulator_value"}
    heeded |= {"beta_1", "beta_2", "amsgrad"}
    for argument in [*optimizer_arguments(name), "an_argument_of_tomorrow"]:
        packed = packable(specification(optimizer={name: {argument: 0.5}}))
        assert packed == (argument in heeded and name != "AdamW"), argument
