"""Reading the runs of a study: a row for each, whether it is there, missing or stale."""

import json

import numpy as np
import pytest

from conftest import TUNED
from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study.layout import HASHES, RUN_COLUMNS, Block, point_columns
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import aggregate, choice, collect

IDENTITY = {"spec_hash": "0000000000e1", "code_hash": "c"}


def write_block(results, block, accuracies, columns=RUN_COLUMNS, **changes):
    """Write the metrics of a block as evaluation does."""
    row = {"dataset": block.dataset, "variant": block.variant, "status": "ok", "validation_accuracy": 0.5, "steps": 10}
    rows = [
        row | IDENTITY | {"seed": seed, "test_accuracy": accuracy, "train_seconds": 2.0} | changes
        for seed, accuracy in zip(block.seeds, accuracies, strict=True)
    ]
    csv_table.write(results / block.folder / "metrics.csv", columns, rows)


def variants(table):
    """Return the rows of variants.csv; every seed gets the same of ten images right."""
    return aggregate.variants(table, {}, lambda _, seeds: np.tile(np.arange(10) < 9, (len(seeds), 1)))


def runs(results, blocks):
    return collect.runs(blocks, results, {block.variant: IDENTITY for block in blocks})


def test_every_run_of_the_study_has_its_row_whether_it_is_there_or_not(tmp_path):
    there, absent, half = Block("digits", "a", 0, 1), Block("digits", "b", 0, 1), Block("digits", "a", 2, 3)
    write_block(tmp_path, there, [0.9, 0.8])
    table = runs(tmp_path, [there, half, absent])
    assert table["status"].tolist() == ["ok", "ok", "missing", "missing", "missing", "missing"]
    assert table["seed"].tolist() == [0, 1, 2, 3, 0, 1]
    summary = variants(table).set_index("variant")
    assert summary["status"].to_dict() == {"a": "incomplete-seeds", "b": "missing"}
    assert summary["n"].to_dict() == {"a": 2, "b": 0}


def test_a_result_of_another_specification_is_stale(tmp_path):
    block = Block("digits", "a", 0, 1)
    write_block(tmp_path, block, [0.9, 0.8], spec_hash="other")
    table = runs(tmp_path, [block])
    assert table["status"].tolist() == ["stale", "stale"]
    assert variants(table)["status"].tolist() == ["stale"]


def test_a_hash_of_digits_alone_stays_text(tmp_path):
    block = Block("digits", "a", 0, 0)
    write_block(tmp_path, block, [0.9])  # 0000000000e1 is a number to a careless reader
    assert runs(tmp_path, [block])["spec_hash"].tolist() == [IDENTITY["spec_hash"]]


@pytest.mark.parametrize("other", [{"variant": "b"}, {"dataset": "circle"}], ids=str)
def test_metrics_of_another_block_are_refused(tmp_path, other):
    block = Block("digits", "a", 0, 0)
    write_block(tmp_path, block, [0.9], **other)
    with pytest.raises(UserError, match=r"metrics\.csv: "):
        runs(tmp_path, [block])


def test_a_metrics_file_of_an_earlier_version_lacks_columns_and_is_stale(tmp_path):
    block = Block("digits", "a", 0, 0)
    write_block(tmp_path, block, [0.9], columns=[name for name in RUN_COLUMNS if name not in HASHES])
    assert runs(tmp_path, [block])["status"].tolist() == ["stale"]


def test_a_metrics_file_with_a_row_less_is_refused(tmp_path):
    block = Block("digits", "a", 0, 1)
    write_block(tmp_path, block, [0.9, 0.8], seed=0)
    with pytest.raises(UserError, match=r"metrics\.csv: .*run the workflow again"):
        runs(tmp_path, [block])


@pytest.fixture
def tuned(tmp_path):
    """Return a study with a sweep whose first three points have run, and the folder of its results."""
    (tmp_path / "config.yaml").write_text(TUNED)
    study = Study.read(tmp_path / "config.yaml")
    sweep = study.sweeps["rates"]
    folder = tmp_path / "results" / sweep.folder
    keys = {"dataset": "digits", "sweep": "rates", "variant": "regression", "seed": 0, "status": "ok"}
    keys |= {"rung": 1, "steps": 10, "images": 1000, "train_seconds": 0.5}
    losses = [1.0, 0.9, 0.8, *range(3, 12)]
    rows = [{"point": point, "validation_loss": loss, "validation_accuracy": 0.5} for point, loss in enumerate(losses)]
    csv_table.write(folder / "points.csv", point_columns(sweep.dimensions), [keys | row for row in rows])
    choice.choose([folder / "points.csv"], folder / "points.csv", folder / "best.json", json.loads(sweep.json), [])
    return study, tmp_path / "results"


def identities(study, results):
    return collect.identities(study, results, "train", "evaluate")


def test_an_identity_is_made_of_data_specification_and_code(digits, tuned):
    study, results = tuned
    assert identities(study, results)["regression"] == {
        "spec_hash": specification_hash(json.loads(study.variants["regression"].json)),
        "code_hash": "train",
        "evaluation_code_hash": "evaluate",
    }
    (results / "digits/data").mkdir()
    (results / "digits/data/train.h5").symlink_to(digits / "train.h5")
    assert len(identities(study, results)["regression"]["data_hash"]) == 12
    (results / "digits/data/train.h5").unlink()
    (results / "digits/data/train.h5").write_text("damaged")
    assert identities(study, results)["regression"]["data_hash"] == "unreadable"


def test_the_choice_of_a_sweep_is_part_of_the_identity_of_a_variant(tuned):
    study, results = tuned
    chosen = collect.resolved(study, "tuned", results)
    assert (chosen["optimizer"]["SGD"]["learning_rate"], chosen["steps"], chosen["batch_size"]) == (0.001, 20, 20)
    assert identities(study, results)["tuned"]["spec_hash"] == specification_hash(chosen)
    best = results / study.sweeps["rates"].folder / "best.json"
    best.write_text(best.read_text().replace("0.001", "0.1"))
    assert collect.resolved(study, "tuned", results) is None
    assert identities(study, results)["tuned"]["spec_hash"] == "unknown"
    best.unlink()
    assert collect.resolved(study, "tuned", results) is None
    assert identities(study, results)["tuned"]["spec_hash"] == "unknown"


def test_points_that_were_changed_by_hand_are_refused(tuned):
    study, results = tuned
    table = aggregate.sweeps(study, results)
    assert table["point"].tolist()[:4] == [2, 1, 0, 3]
    assert table["loss_difference_mean"].tolist()[:3] == pytest.approx([np.nan, 0.1, 0.2], nan_ok=True)
    assert table["loss_difference_ci95_low"].isna().all()  # of one seed
    points = results / study.sweeps["rates"].folder / "points.csv"
    points.write_text(points.read_text().replace("0.8", "0.7"))
    with pytest.raises(UserError, match=r"points\.csv: it was changed after it had been written; delete the file"):
        aggregate.sweeps(study, results)
