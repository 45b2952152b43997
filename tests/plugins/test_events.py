"""What is said when a run of the workflow starts and ends."""

import os

import pytest

from conftest import SMALL_STUDY
from mnist_hpc.cluster import attempts
from mnist_hpc.errors import Interrupted
from mnist_hpc.files import csv_table
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.plugins import events
from mnist_hpc.study.layout import RUN_COLUMNS
from mnist_hpc.study.specification import Study


@pytest.fixture
def study(tmp_path):
    (tmp_path / "config.yaml").write_text(SMALL_STUDY)
    return Study.read(tmp_path / "config.yaml")


def test_results_of_an_earlier_version_of_the_code_are_counted(study, tmp_path):
    assert events.outdated(study, tmp_path) == ""
    current = {"code_hash": code_hash("stages.train"), "evaluation_code_hash": code_hash("stages.evaluate")}
    for block, keys in zip(study.blocks, (current, current | {"code_hash": "earlier"}), strict=True):
        rows = [keys | {"seed": seed} for seed in block.seeds]
        csv_table.write(tmp_path / block.folder / "metrics.csv", RUN_COLUMNS, rows)
    assert events.outdated(study, tmp_path).startswith("2 results of an earlier version of the code will be rebuilt")
    (tmp_path / study.blocks[1].folder / "metrics.csv").write_text("damaged")
    assert events.outdated(study, tmp_path) == ""


def test_the_best_are_told_if_the_tables_are_new(study, tmp_path):
    assert events.best(study, tmp_path, 0) == ""
    path = tmp_path / "digits/tables/variants.csv"
    path.parent.mkdir(parents=True)
    path.write_text(
        "dataset,variant,status,n,test_accuracy_mean,test_accuracy_sd,validation_accuracy_mean,train_seconds_mean\n"
        "digits,a,ok,1,0.9,,0.8,1\n"
    )
    os.utime(path, (100, 100))
    assert "90.00 %" in events.best(study, tmp_path, 99)
    assert events.best(study, tmp_path, 100) == ""


def test_interrupted_trainings_are_counted(study, tmp_path):
    begin = "2000-01-01T00:00:00+00:00"
    assert events.interrupted(study, tmp_path, begin) == ""
    with pytest.raises(Interrupted), attempts.recorded(tmp_path / study.blocks[0].record, "train", 100):
        raise Interrupted("step 5")
    assert "1 training saved." in events.interrupted(study, tmp_path, begin)
    assert events.interrupted(study, tmp_path, "2999-01-01T00:00:00+00:00") == ""
