"""The state of a run: its learning curve, and what a setting had reached after a step."""

import math

import pytest

from mnist_hpc.training.run import Run, history_steps


@pytest.mark.parametrize(("steps", "expected"), [(1, [1]), (3, [1, 2, 3]), (40, list(range(2, 41, 2)))])
def test_a_run_is_validated_twenty_times_and_at_its_end(steps, expected):
    assert history_steps(steps) == expected


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
