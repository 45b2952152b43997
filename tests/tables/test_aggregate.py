import math

import numpy as np
import pandas as pd
import pytest

from mnist_hpc.files import csv_table, hdf5
from mnist_hpc.tables import aggregate
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import Block

IDENTITY = {"spec_hash": "0000000000e1", "code_hash": "c"}


def write_block(results, block, accuracies, confusion=((3, 1), (0, 4)), **changes):
    rows = [
        {
            "dataset": block.dataset,
            "variant": block.variant,
            "seed": seed,
            "status": "ok",
            "test_accuracy": accuracy,
            "validation_accuracy": 0.5,
            "train_seconds": 2.0,
            "steps": 10,
            **IDENTITY,
            **changes,
        }
        for seed, accuracy in zip(block.seeds, accuracies, strict=True)
    ]
    csv_table.write(results / block.folder / "metrics.csv", csv_table.RUN_COLUMNS, rows)
    owner = {"dataset": block.dataset, "variant": block.variant}
    with hdf5.writing(results / block.folder / "predictions.h5", owner) as file:
        for seed in block.seeds:
            file[f"seed-{seed}/confusion"] = np.array(confusion)


def runs(results, blocks):
    return aggregate.runs(blocks, results, {block.variant: IDENTITY for block in blocks})


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


def test_every_run_of_the_study_has_its_row_whether_it_is_there_or_not(tmp_path):
    there, absent, half = Block("digits", "a", 0, 1), Block("digits", "b", 0, 1), Block("digits", "a", 2, 3)
    write_block(tmp_path, there, [0.9, 0.8])
    table = runs(tmp_path, [there, half, absent])
    assert table["status"].tolist() == ["ok", "ok", "missing", "missing", "missing", "missing"]
    assert table["seed"].tolist() == [0, 1, 2, 3, 0, 1]
    summary = aggregate.variants(table).set_index("variant")
    assert summary["status"].to_dict() == {"a": "incomplete-seeds", "b": "missing"}
    assert summary["n"].to_dict() == {"a": 2, "b": 0}


def test_a_result_of_another_specification_is_stale(tmp_path):
    block = Block("digits", "a", 0, 1)
    write_block(tmp_path, block, [0.9, 0.8], spec_hash="other")
    table = runs(tmp_path, [block])
    assert table["status"].tolist() == ["stale", "stale"]
    assert aggregate.variants(table)["status"].tolist() == ["stale"]


def test_a_failed_seed_makes_its_variant_failed_and_stays_out_of_the_mean(tmp_path):
    block = Block("digits", "a", 0, 1)
    write_block(tmp_path, block, [0.9, 0.8])
    rows = csv_table.read(tmp_path / block.folder / "metrics.csv")
    rows[1] |= {"status": "failed", "test_accuracy": ""}
    csv_table.write(tmp_path / block.folder / "metrics.csv", csv_table.RUN_COLUMNS, rows)
    row = aggregate.variants(runs(tmp_path, [block])).iloc[0]
    assert (row["status"], row["n"], row["test_accuracy_mean"]) == ("failed", 1, 0.9)


def test_a_hash_of_digits_alone_stays_text(tmp_path):
    block = Block("digits", "a", 0, 0)
    write_block(tmp_path, block, [0.9])  # 0000000000e1 is a number to a careless reader
    assert runs(tmp_path, [block])["spec_hash"].tolist() == [IDENTITY["spec_hash"]]


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


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("0.9", "0.99"),
        lambda text: text[: text.index("digits,a,1")],
        lambda text: text.replace(",", ";"),
        lambda text: text + text.splitlines(keepends=True)[-1],
        lambda _: "",
    ],
    ids=["a number", "a row gone", "semicolons", "a row twice", "empty"],
)
def test_a_metrics_file_edited_by_hand_is_named(tmp_path, edit):
    block = Block("digits", "a", 0, 1)
    write_block(tmp_path, block, [0.9, 0.8])
    path = tmp_path / block.folder / "metrics.csv"
    path.write_text(edit(path.read_text()))
    with pytest.raises(UserError, match=r"metrics\.csv: .*delete the file and run the workflow again"):
        runs(tmp_path, [block])


@pytest.mark.parametrize(
    "forged",
    [
        {"variant": "b"},
        {"variant": "/elsewhere"},
        {"dataset": "../x"},
        {"test_accuracy": 7.5},
        {"train_seconds": -1},
        {"steps": 1.5},
        {"steps": 1e30},
        {"test_accuracy": "high"},
        {"status": "fine"},
    ],
    ids=str,
)
def test_a_row_of_another_block_or_of_impossible_values_is_refused(tmp_path, forged):
    block = Block("digits", "a", 0, 0)
    write_block(tmp_path, block, [0.9], **forged)
    with pytest.raises(UserError, match=r"metrics\.csv: "):
        runs(tmp_path, [block])


def test_predictions_of_another_variant_are_refused(tmp_path):
    blocks = [Block("digits", name, 0, 0) for name in "ab"]
    for block in blocks:
        write_block(tmp_path, block, [0.9])
    places = [tmp_path / block.folder / "predictions.h5" for block in blocks]
    places[0].write_bytes(places[1].read_bytes())
    with pytest.raises(UserError, match=r"predictions\.h5: found variant b, expected a"):
        aggregate.confusions(runs(tmp_path, blocks), blocks, tmp_path)


def test_a_metrics_file_of_an_earlier_version_is_stale(tmp_path):
    block = Block("digits", "a", 0, 0)
    write_block(tmp_path, block, [0.9])
    path = tmp_path / block.folder / "metrics.csv"
    pd.read_csv(path).drop(columns="checksum").to_csv(path, index=False)
    assert runs(tmp_path, [block])["status"].tolist() == ["stale"]
