"""The state of a run: its learning curve, and what a setting had reached after a step."""

import itertools
import math

import pytest

from mnist_hpc.training.run import Run, history_steps, snapshot_steps


@pytest.mark.parametrize(("steps", "expected"), [(1, [1]), (3, [1, 2, 3]), (40, list(range(2, 41, 2)))])
def test_a_run_is_validated_twenty_times_and_at_its_end(steps, expected):
    assert history_steps(steps) == expected


@pytest.mark.parametrize("steps", [1, 2, 7, 10, 39, 60, 400, 3000, 10000, 1_000_000_000])
@pytest.mark.parametrize("count", [1, 2, 3, 40, 100])
def test_snapshots_are_taken_at_the_start_and_at_the_end_and_at_growing_distances(steps, count):
    found = snapshot_steps(steps, count)
    assert all(type(step) is int for step in found)
    assert (found[0], found[-1]) == (0, steps)
    assert found == sorted(set(found))
    assert len(found) <= count + 1
    if count > 1:
        assert found[1] == min(10, -(-steps // count))
    distances = [after - before for before, after in itertools.pairwise(found[1:])]
    # To the rounding of both ends.
    assert all(after >= before - 1 for before, after in itertools.pairwise(distances))


def test_no_step_is_left_out_of_a_training_that_is_shorter_than_the_snapshots_are_many():
    assert snapshot_steps(5, 40) == [0, 1, 2, 3, 4, 5]


def test_a_long_training_has_as_many_snapshots_as_were_asked_for():
    found = snapshot_steps(10000, 40)
    assert len(found) == 41
    # 10 × 1000^(k / 39)
    assert (found[1], found[14], found[27], found[40]) == (10, 100, 1000, 10000)


def test_the_result_of_a_setting_is_its_row_unless_it_diverged():
    rows = [
        {"step": 10, "validation_loss": [0.5, 0.6, 0.7]},
        {"step": 20, "validation_loss": [0.4, 9.0, math.inf]},
    ]
    run = Run(20, limits=[2.0, 20.0, 20.0], failed={"1": 15}, rows=rows)
    assert run.result(10, 1) == {"status": "ok", "steps": 10, "step": 10, "validation_loss": 0.6}
    assert run.result(20, 0) == {"status": "ok", "steps": 20, "step": 20, "validation_loss": 0.4}
    assert run.result(20, 1) == run.result(20, 2) == {"status": "failed", "steps": 20}
    assert run.result(15, 0) == {"status": "failed", "steps": 15}
    assert [row["validation_loss"] for row in run.history(2)] == [0.7, math.inf]
    assert [row["validation_loss"] for row in run.history(1)] == [0.6]


@pytest.mark.parametrize(
    ("loss", "status"), [(20.0, "ok"), (20.1, "failed"), (math.nan, "failed"), (math.inf, "failed")]
)
@pytest.mark.parametrize("limit", [20.0, math.inf])
def test_the_limit_on_the_loss_is_that_on_the_validation_too(loss, status, limit):
    run = Run(1, limits=[limit], rows=[{"step": 1, "validation_loss": [loss]}])
    assert run.result(1)["status"] == ("ok" if loss == 20.1 and limit > 20 else status)
