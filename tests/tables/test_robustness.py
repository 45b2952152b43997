"""The table of accuracies on transformed images."""

import math

import pandas as pd
import pytest

from conftest import SMALL_STUDY
from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table
from mnist_hpc.study.layout import PERTURBED_COLUMNS
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import robustness

HASHES = {"spec_hash": "s", "data_hash": "d", "code_hash": "c"}
IDENTITIES = dict.fromkeys(("regression", "circle"), HASHES | {"evaluation_code_hash": "e"})


@pytest.fixture
def study(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    return Study.read(tmp_path / "config.yaml")


def runs(*statuses):
    return pd.DataFrame({"variant": "regression", "seed": range(len(statuses)), "status": statuses})


def measured(results, study, accuracies, **changes):
    """Write what was measured of the seeds of the regression: these accuracies at a rotation."""
    (block,) = study.blocks_of("regression")
    keys = {"dataset": "digits", "variant": "regression", "transform": "rotation", "level": 10.0, "test_loss": 0.5}
    keys |= HASHES | {"perturbation_code_hash": "p"} | changes
    rows = [keys | {"seed": seed, "test_accuracy": accuracy} for seed, accuracy in enumerate(accuracies)]
    csv_table.write(results / block.perturbed, PERTURBED_COLUMNS, rows)


def test_a_row_has_mean_and_deviation_over_seeds_computed_by_hand(study, tmp_path):
    measured(tmp_path, study, [0.8, 0.9])
    (row,) = robustness.table(study, tmp_path, runs("ok", "ok"), IDENTITIES, "p").to_dict("records")
    assert (row["dataset"], row["variant"], row["transform"], row["level"]) == ("digits", "regression", "rotation", 10)
    assert row["n"] == 2
    assert row["test_accuracy_mean"] == pytest.approx(0.85)
    assert row["test_accuracy_sd"] == pytest.approx(math.sqrt(2 * 0.05**2))
    assert (row["test_loss_mean"], row["test_loss_sd"]) == (0.5, 0)


def test_only_seeds_that_are_ok_count(study, tmp_path):
    measured(tmp_path, study, [0.8, 0.9])
    (row,) = robustness.table(study, tmp_path, runs("ok", "stale"), IDENTITIES, "p").to_dict("records")
    assert (row["n"], row["test_accuracy_mean"]) == (1, 0.8)
    assert math.isnan(row["test_accuracy_sd"])


@pytest.mark.parametrize(
    "change", [{"spec_hash": "x"}, {"data_hash": "x"}, {"code_hash": "x"}, {"perturbation_code_hash": "x"}]
)
def test_measurements_that_are_not_current_are_left_out_and_counted_as_stale(study, tmp_path, change):
    assert robustness.stale(study, tmp_path, IDENTITIES, "p") == 0
    measured(tmp_path, study, [0.8, 0.9], **change)
    table = robustness.table(study, tmp_path, runs("ok", "ok"), IDENTITIES, "p")
    assert table.empty
    assert list(table.columns) == robustness.COLUMNS
    assert robustness.stale(study, tmp_path, IDENTITIES, "p") == 1


def test_measurements_of_another_block_are_refused(study, tmp_path):
    measured(tmp_path, study, [0.8], variant="other")
    with pytest.raises(UserError, match=r"perturbed\.csv: these are not the runs of digits regression seeds 0 to 1"):
        robustness.table(study, tmp_path, runs("ok", "ok"), IDENTITIES, "p")
