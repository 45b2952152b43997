"""Which points a halved sweep drops, and when."""

import math
from fractions import Fraction

import numpy as np
import pytest

from conftest import specification
from mnist_hpc.study import grids, halving, spaces
from mnist_hpc.study.grids import Point

RULES = {"factor": 3, "first": "1/9", "finalists": 3, "fresh_seeds": 5}


def rules(**changes):
    return RULES | changes


def test_rungs_end_at_shares_that_grow_by_the_factor_up_to_all_steps():
    assert halving.shares(rules()) == [Fraction(1, 9), Fraction(1, 3), 1]
    assert halving.shares(rules(first="0.1")) == [Fraction(1, 10), Fraction(3, 10), Fraction(9, 10), 1]
    assert halving.shares(rules(first="1")) == [1]
    assert halving.shares(rules(first="1/3", factor=100)) == [Fraction(1, 3), 1]
    assert halving.ends(rules(), 900) == [100, 300, 900]
    assert halving.ends(rules(), 1000) == [111, 333, 1000]


@pytest.mark.parametrize("first", ["1/9", "0.1", "0.37", "0.95", "1/2", "1"])
@pytest.mark.parametrize("factor", [2, 3, 7])
def test_no_two_rungs_end_in_the_same_step(first, factor):
    for steps in range(1, 60):
        ends = halving.ends(rules(first=first, factor=factor), steps)
        if ends[0]:
            assert ends == sorted(set(ends))
        assert ends[-1] == steps


@pytest.mark.parametrize(
    ("changes", "points", "sizes"),
    [
        ({}, 81, [81, 27, 9]),
        ({}, 64, [64, 21, 7]),
        ({}, 9, [9, 3, 3]),
        ({}, 8, [8, 3, 3]),
        ({}, 2, [2, 2, 2]),
        ({}, 1, [1, 1, 1]),
        ({"factor": 100, "first": "1/100"}, 64, [64, 3]),
        ({"factor": 2, "first": "1/4", "finalists": 1}, 9, [9, 4, 2]),
        ({"finalists": 10}, 64, [64, 21, 10]),
        ({"first": "1"}, 64, [64]),
    ],
)
def test_a_rung_has_a_share_of_the_points_and_enough_for_the_finalists(changes, points, sizes):
    assert halving.sizes(rules(**changes), points) == sizes


def row(point, rung, loss, seed=0):
    status = "failed" if math.isnan(loss) else "ok"
    return {
        "point": point,
        "rung": rung,
        "seed": seed,
        "steps": 10,
        "status": status,
        "validation_loss": loss,
        "validation_accuracy": 0.5,
    }


def test_the_points_with_the_lowest_mean_losses_go_on():
    losses = np.random.default_rng(0).random((10, 4))
    rows = [row(point, 1, losses[point, seed], seed) for point in range(10) for seed in range(4)]
    assert halving.best(rows, 3) == np.argsort(losses.mean(axis=1))[:3].tolist()
    assert halving.best(rows, 20) == np.argsort(losses.mean(axis=1)).tolist()


def test_a_point_of_which_one_seed_diverged_does_not_go_on():
    nan = float("nan")
    rows = [row(0, 1, 0.1), row(0, 1, nan, 1), row(1, 1, 0.5), row(1, 1, 0.5, 1), row(2, 1, nan), row(2, 1, nan, 1)]
    assert halving.best(rows, 3) == [1]
    assert halving.best([row(0, 1, nan)], 3) == []
    assert halving.best([], 3) == []


def test_equal_points_are_told_apart_by_their_place():
    assert halving.best([row(point, 1, 0.5) for point in (2, 0, 1)], 2) == [0, 1]


def test_a_point_that_came_further_ranks_higher_whatever_its_loss():
    rows = [row(0, 1, 0.1), row(1, 1, 0.9), row(1, 2, 0.8), row(2, 1, 0.7), row(2, 2, float("nan"))]
    assert [found["point"] for found in halving.rank(rows)] == [1, 2, 0]
    assert [found["validation_loss_mean"] for found in halving.rank(rows)][::2] == [0.8, 0.1]


@pytest.mark.parametrize("listed", [False, True])
def test_brackets_share_the_points(listed):
    points = [Point(place, {}, {}) for place in range(7)]
    brackets = [halving.bracket(points, number, 3, listed=listed) for number in (1, 2, 3)]
    assert sorted(map(len, brackets)) == [2, 2, 3]
    assert sorted(point.place for points in brackets for point in points) == list(range(7))
    assert brackets == [halving.bracket(points, number, 3, listed=listed) for number in (1, 2, 3)]


def test_each_bracket_of_a_space_covers_all_dimensions():
    """Every other point of a Sobol sequence is in the same half of some dimensions."""
    space = [[key, {"uniform": [0, 1]}] for key in ("l2", "momentum", "initial_scale", "learning_rate")]
    tried = spaces.tried({"specification": specification(), "space": space, "points": 64})
    for number in range(1, 5):
        own = halving.bracket(tried, number, 4, listed=False)
        for key, _ in space:
            counts = np.histogram([point.values[key] for point in own], bins=4, range=(0, 1))[0]
            assert counts.tolist() == [4, 4, 4, 4]


def test_each_bracket_of_a_grid_has_all_values():
    grid = {"learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "momentum": [0.0, 0.5], "l2": [0.0, 0.1]}
    tried = grids.points(specification(), grid)
    for number in (1, 2):
        own = halving.bracket(tried, number, 2, listed=True)
        assert all({point.values[key] for point in own} == set(values) for key, values in grid.items())
