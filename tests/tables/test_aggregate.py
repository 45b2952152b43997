"""Tables over the runs of a study, against cases computed by hand."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from conftest import SMALL_STUDY
from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5
from mnist_hpc.study.layout import RUN_COLUMNS, Block
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import aggregate, collect

HASHES = {"spec_hash": "today's", "data_hash": "of the digits"}


def runs(*rows):
    """Return a table of runs: variant, status and test accuracy of each; seeds count up within a variant."""
    found = []
    for variant, status, accuracy in rows:
        seed = sum(row["variant"] == variant for row in found)
        keys = {"dataset": "digits", "variant": variant, "seed": seed, "status": status, "test_accuracy": accuracy}
        found.append(keys | HASHES)
    return collect.frame(found, RUN_COLUMNS, collect.NUMBERS)


def ok(*accuracies):
    return runs(*(("a", "ok", accuracy) for accuracy in accuracies))


def variants(table, success=None, images=100):
    """Return the row of the one variant; each seed gets its last images wrong, so many as its accuracy says."""
    accuracies = table.set_index("seed")["test_accuracy"]

    def correct(variant, seeds):
        assert variant == "a"
        return np.array([np.arange(images) < accuracies[seed] * images - 0.5 for seed in seeds])

    (row,) = aggregate.variants(table, {"a": success}, correct).to_dict("records")
    return row


def test_mean_deviation_and_interval_are_those_computed_by_hand():
    row = variants(ok(0.90, 0.92, 0.94, 0.92))
    # Deviations -2, 0, 2, 0 points: sd √(8/3) points; t(0.975, 3) = 3.1824 of any table. On the logit scale, the half
    # width is that of the mean over 0.92 × 0.08.
    sd = math.sqrt(8 / 3) / 100
    half = 3.1824 * sd / 2 / (0.92 * 0.08)
    assert row["n"] == 4
    assert row["test_accuracy_mean"] == pytest.approx(0.92)
    assert row["test_accuracy_sd"] == pytest.approx(sd)
    assert row["test_accuracy_ci95_low"] == pytest.approx(special.expit(special.logit(0.92) - half), abs=1e-6)
    assert row["test_accuracy_ci95_high"] == pytest.approx(special.expit(special.logit(0.92) + half), abs=1e-6)
    assert math.isnan(row["success"])
    # These nets fail on the same images, so others would be another matter: the interval is wider.
    assert row["test_accuracy_new_images_ci95_low"] < row["test_accuracy_ci95_low"]
    assert row["test_accuracy_new_images_ci95_high"] > row["test_accuracy_ci95_high"]


def test_a_hundred_seeds_of_a_toy_problem_are_counted_as_by_scipy():
    # What the circle with three units gave for seeds 0 to 99: two fail, and the mean of all is near neither outcome.
    accuracies = [1.0] * 100
    accuracies[90], accuracies[97] = 0.825, 0.822
    row = variants(ok(*accuracies), success=0.99)
    assert [row[name] for name in ("success", "successes", "trials")] == [0.99, 98, 100]
    # Beta quantiles: the textbook form of Clopper and Pearson's limits.
    assert row["success_ci95_low"] == pytest.approx(stats.beta.ppf(0.025, 98, 3))
    assert row["success_ci95_high"] == pytest.approx(stats.beta.ppf(0.975, 99, 2))
    assert row["test_accuracy_mean"] == pytest.approx(0.99647)
    assert math.isnan(row["test_accuracy_ci95_low"])
    assert math.isnan(row["test_accuracy_new_images_ci95_low"])


def test_a_seed_that_diverged_has_not_succeeded_and_one_that_is_missing_does_not_count():
    table = runs(("a", "ok", 0.99), ("a", "failed", math.nan), ("a", "missing", math.nan), ("a", "ok", 0.98))
    row = variants(table, success=0.99)
    assert (row["successes"], row["trials"]) == (1, 3)
    none = variants(runs(("a", "missing", math.nan)), success=0.99)
    assert (none["successes"], none["trials"]) == (0, 0)
    assert math.isnan(none["success_ci95_low"])


@pytest.mark.parametrize("accuracies", [(1.0, 1.0, 1.0), (0.97, 0.97)], ids=str)
def test_seeds_that_agree_have_no_interval_of_width_zero(accuracies):
    row = variants(ok(*accuracies))
    assert row["test_accuracy_sd"] == 0
    assert math.isnan(row["test_accuracy_ci95_low"])
    assert math.isnan(row["test_accuracy_ci95_high"])


def test_one_seed_has_a_mean_and_no_interval():
    row = variants(ok(0.9))
    assert row["test_accuracy_mean"] == 0.9
    assert math.isnan(row["test_accuracy_sd"])
    assert math.isnan(row["test_accuracy_ci95_low"])


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["ok", "ok"], "ok"),
        (["ok", "missing"], "incomplete-seeds"),
        (["missing", "missing"], "missing"),
        (["stale", "failed"], "stale"),
        (["ok", "failed"], "failed"),
    ],
)
def test_a_variant_is_as_bad_as_the_worst_of_its_seeds(statuses, expected):
    row = variants(runs(*(("a", status, 0.9) for status in statuses)))
    assert row["status"] == expected


def test_a_failed_seed_stays_out_of_the_mean():
    row = variants(runs(("a", "ok", 0.9), ("a", "failed", math.nan)))
    assert (row["status"], row["n"], row["test_accuracy_mean"]) == ("failed", 1, 0.9)


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ([("ok", 10, 300), ("stale", 7000, 9000)], [10, 300]),
        ([("ok", 10, 300), ("failed", 10, 20)], [10, 300]),
        ([("failed", 10, 20), ("stale", 7000, 9000)], [10, 20]),
        ([("stale", 7000, 9000), ("missing", None, None)], []),
    ],
)
def test_parameters_and_steps_are_those_of_current_runs(seeds, expected):
    table = runs(*(("a", status, 0.9) for status, _, _ in seeds))
    table[["parameters", "steps"]] = [[parameters, steps] for _, parameters, steps in seeds]
    row = variants(table.astype({"parameters": "Int64", "steps": "Int64"}))
    found = [row[name] for name in ("parameters", "steps") if not pd.isna(row[name])]
    assert found == expected


BLOCK = Block("digits", "a", 0, 0)


def predictions(results, block, confusion, **hashes):
    owner = {"dataset": block.dataset, "variant": block.variant, **HASHES, **hashes}
    with hdf5.writing(results / block.folder / "predictions.h5", owner) as file:
        for seed in block.seeds:
            file[f"seed-{seed}/confusion"] = np.array(confusion)


def test_precision_and_recall_are_those_of_the_confusion_matrix(tmp_path):
    predictions(tmp_path, BLOCK, ((3, 1, 0), (0, 4, 0), (1, 1, 0)))
    confusions = aggregate.confusions(ok(0.9), [BLOCK], tmp_path)
    assert confusions["images"].sum() == 10
    assert confusions[(confusions["label"] == 0) & (confusions["predicted"] == 1)]["images"].tolist() == [1]
    classes = aggregate.classes(confusions).set_index("class")
    assert classes["precision"].tolist()[:2] == pytest.approx([3 / 4, 4 / 6])
    assert math.isnan(classes.loc[2, "precision"])
    assert classes["recall"].tolist() == pytest.approx([3 / 4, 1, 0])
    assert classes["images"].tolist() == [4, 4, 2]


def test_tables_of_a_study_without_a_single_run_have_their_columns(tmp_path):
    confusions = aggregate.confusions(runs(("a", "missing", math.nan)), [BLOCK], tmp_path)
    assert list(aggregate.classes(confusions).columns) == aggregate.CLASS_COLUMNS
    assert list(confusions.columns) == aggregate.CONFUSION_COLUMNS


def test_predictions_of_another_variant_are_refused(tmp_path):
    other = Block("digits", "b", 0, 0)
    predictions(tmp_path, other, ((1, 0), (0, 1)))
    (tmp_path / other.folder).parent.rename(tmp_path / "digits/runs/a")
    with pytest.raises(UserError, match=r"predictions\.h5: .* variant b, expected a"):
        aggregate.confusions(ok(0.9), [BLOCK], tmp_path)


@pytest.mark.parametrize("key", HASHES)
def test_predictions_of_another_training_are_refused(tmp_path, key):
    predictions(tmp_path, BLOCK, ((1, 0), (0, 1)), **{key: "another"})
    with pytest.raises(UserError, match=rf"predictions\.h5: found {key} another, expected {HASHES[key]}"):
        aggregate.confusions(ok(0.9), [BLOCK], tmp_path)


def test_the_provenance_of_tables_names_their_inputs(tmp_path, digits):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    study = Study.read(tmp_path / "config.yaml", {"max_seeds": 1})
    (tmp_path / "digits/data").mkdir(parents=True)
    (tmp_path / "digits/data/train.h5").symlink_to(digits / "train.h5")
    metrics = tmp_path / study.blocks_of("regression")[0].folder / "metrics.csv"
    metrics.parent.mkdir(parents=True)
    metrics.touch()
    table = runs(("regression", "ok", 0.9), ("circle", "missing", math.nan)).assign(host=["n1", None], started="t")
    found = json.loads(json.dumps(aggregate.provenance(study, tmp_path, table)))
    assert json.loads(found["overrides"]) == {"max_seeds": 1}
    assert found["specifications"]["regression"] == json.loads(study.variants["regression"].json)
    hashes = {path.split("/")[2]: value for path, value in found["inputs"].items()}
    assert hashes["circle"] is None
    assert len(hashes["regression"]) == 64
    assert found["data"]["digits"]["dataset"] == "digits"
    assert found["runs"] == {"ok": 1, "missing": 1}
    assert found["runs_made_with"]["host"] == ["n1"]


def test_a_table_keeps_every_digit(tmp_path):
    table = pd.DataFrame({"test_accuracy": [1 / 3], "steps": pd.array([None], "Int64")})
    aggregate.write(table, tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text() == "test_accuracy,steps\n0.3333333333333333,\n"
