import math

import numpy as np
import pandas as pd
import pytest

from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.tables import aggregate
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import Block

IDENTITY = {"spec_hash": "0000000000e1", "code_hash": "c"}


def test_mean_deviation_and_interval_are_those_computed_by_hand(tmp_path):
    block = Block("digits", "a", 0, 3)
    write_block(tmp_path, block, [0.90, 0.92, 0.94, 0.92])
    row = aggregate.variants(runs(tmp_path, [block])).iloc[0]
    # Deviations -2, 0, 2, 0 points: sd √(8/3) points; t(0.975, 3) = 3.1824 of any table.
    sd = math.sqrt(8 / 3) / 100
    assert row["n"] == 4
    assert row["test_accuracy_mean"] == pytest.approx(0.92)
    assert row["test_accuracy_sd"] == pytest.approx(sd)
    assert row["test_accuracy_ci95_low"] == pytest.approx(0.92 - 3.1824 * sd / 2, abs=1e-6)
    assert row["test_accuracy_ci95_high"] == pytest.approx(0.92 + 3.1824 * sd / 2, abs=1e-6)


def test_one_seed_has_a_mean_and_no_interval(tmp_path):
    block = Block("digits", "a", 0, 0)
    write_block(tmp_path, block, [0.9])
    row = aggregate.variants(runs(tmp_path, [block])).iloc[0]
    assert row["test_accuracy_mean"] == 0.9
    assert math.isnan(row["test_accuracy_sd"])
    assert math.isnan(row["test_accuracy_ci95_low"])


def test_a_failed_seed_makes_its_variant_failed_and_stays_out_of_the_mean(tmp_path):
    block = Block("digits", "a", 0, 1)
    write_block(tmp_path, block, [0.9, 0.8])
    rows = csv_table.read(tmp_path / block.folder / "metrics.csv")
    rows[1] |= {"status": "failed", "test_accuracy": ""}
    csv_table.write(tmp_path / block.folder / "metrics.csv", csv_table.RUN_COLUMNS, rows)
    row = aggregate.variants(runs(tmp_path, [block])).iloc[0]
    assert (row["status"], row["n"], row["test_accuracy_mean"]) == ("failed", 1, 0.9)


def test_precision_and_recall_are_those_of_the_confusion_matrix(tmp_path):
    block = Block("digits", "a", 0, 0)
    write_block(tmp_path, block, [0.9], confusion=((3, 1, 0), (0, 4, 0), (1, 1, 0)))
    confusions = aggregate.confusions(runs(tmp_path, [block]), [block], tmp_path)
    assert confusions["images"].sum() == 10
    assert confusions[(confusions["label"] == 0) & (confusions["predicted"] == 1)]["images"].tolist() == [1]
    classes = aggregate.classes(confusions).set_index("class")
    assert classes["precision"].tolist()[:2] == pytest.approx([3 / 4, 4 / 6])
    assert math.isnan(classes.loc[2, "precision"])
    assert classes["recall"].tolist() == pytest.approx([3 / 4, 1, 0])
    assert classes["images"].tolist() == [4, 4, 2]


def test_tables_of_a_study_without_a_single_run_have_their_columns(tmp_path):
    table = runs(tmp_path, [Block("digits", "a", 0, 0)])
    confusions = aggregate.confusions(table, [Block("digits", "a", 0, 0)], tmp_path)
    assert list(aggregate.classes(confusions).columns) == aggregate.CLASS_COLUMNS
    assert list(confusions.columns) == aggregate.CONFUSION_COLUMNS


def test_predictions_of_another_variant_are_refused(tmp_path):
    blocks = [Block("digits", name, 0, 0) for name in "ab"]
    for block in blocks:
        write_block(tmp_path, block, [0.9])
    places = [tmp_path / block.folder / "predictions.h5" for block in blocks]
    places[0].write_bytes(places[1].read_bytes())
    with pytest.raises(UserError, match=r"predictions\.h5: it is of variant b, expected a"):
        aggregate.confusions(runs(tmp_path, blocks), blocks, tmp_path)
