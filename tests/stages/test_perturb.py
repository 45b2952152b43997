"""Evaluation on transformed test images."""

import csv
import json

import pandas as pd
import pytest

from conftest import call, error_line, specification
from mnist_hpc.data.splits import Split, read_test, write_split
from mnist_hpc.files import hdf5
from mnist_hpc.stages import convert
from mnist_hpc.study.datasets import BUILT_IN
from mnist_hpc.study.layout import PERTURBED_COLUMNS
from mnist_hpc.training.models_file import Model, read_models, write_models

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture(scope="module")
def block(digits, tmp_path_factory):
    """Return a folder with models of two seeds, the second of which failed, and their evaluations."""
    folder = tmp_path_factory.mktemp("block")
    train(folder, digits, specification())
    header, models = read_models(folder / "models.h5")
    models[1] = Model(models[1].facts | {"status": "failed", "failed_step": 7}, {})
    write_models(folder / "models.h5", header, models)
    outputs = ("--metrics", folder / "metrics.csv", "--predictions", folder / "predictions.h5")
    done = call("evaluate", "--models", folder / "models.h5", "--data", digits / "test.h5", *outputs)
    assert done.returncode == 0, done.stderr
    done = perturb(folder, digits / "test.h5", "perturbed.csv")
    assert done.returncode == 0, done.stderr
    return folder


def train(folder, data, keys):
    done = call(
        *("train", "--data", data / "train.h5", "--variant", "tiny", "--seeds", "0-1", "--code-hash", "trainedtoday"),
        *("--specification", json.dumps(keys), "--models", folder / "models.h5", "--history", folder / "history.csv"),
    )
    assert done.returncode == 0, done.stderr


def perturb(folder, data, name):
    arguments = ("--models", folder / "models.h5", "--data", data, "--perturbed", folder / name)
    return call("perturb", *arguments, "--code-hash", "perturbed")


def test_every_level_of_every_transform_has_a_row_for_each_seed_that_did_not_fail(block):
    table = pd.read_csv(block / "perturbed.csv")
    assert list(table.columns) == [*PERTURBED_COLUMNS, "checksum"]
    assert set(table["seed"]) == {0}
    levels = table.groupby("transform")["level"].agg(list).to_dict()
    assert levels.keys() == {"none", "shift", "rotation", "zoom", "noise"}
    assert all(len(set(found)) == len(found) for found in levels.values())
    assert (table["code_hash"] == "trainedtoday").all()
    assert (table["perturbation_code_hash"] == "perturbed").all()


def test_images_as_they_are_have_the_accuracy_of_the_evaluation_and_others_have_less(block):
    with (block / "metrics.csv").open() as file:
        whole = next(csv.DictReader(file))
    table = pd.read_csv(block / "perturbed.csv").set_index(["transform", "level"])
    same = table.loc[("none", 0.0)]
    assert same["test_accuracy"] == float(whole["test_accuracy"])
    assert same["test_loss"] == pytest.approx(float(whole["test_loss"]), rel=1e-6)
    # Far from what a linear net has seen.
    for strongest in (("shift", 4.0), ("rotation", 45.0), ("zoom", 0.7), ("noise", 0.5)):
        assert table.loc[strongest, "test_accuracy"] < same["test_accuracy"] - 0.05
        assert table.loc[strongest, "test_loss"] > same["test_loss"]


def test_the_same_models_give_the_same_bytes(block, digits):
    assert perturb(block, digits / "test.h5", "again.csv").returncode == 0
    assert (block / "again.csv").read_bytes() == (block / "perturbed.csv").read_bytes()


def test_models_of_other_data_are_refused(block, digits, tmp_path):
    attributes, test = read_test(digits / "test.h5")
    with hdf5.writing(tmp_path / "test.h5", attributes | {"data_hash": "other"}) as file:
        write_split(file, Split(test.inputs, test.labels))
    assert "train it again" in error_line(perturb(block, tmp_path / "test.h5", "no.csv"))
    assert not (block / "no.csv").exists()


def test_points_of_the_plane_are_refused(tmp_path):
    convert.run("circle", "circle", BUILT_IN["circle"], tmp_path)
    train(tmp_path, tmp_path, specification(layers=[{"Dense": {"units": 2}}]))
    line = error_line(perturb(tmp_path, tmp_path / "test.h5", "no.csv"))
    assert "found points of the plane, expected images" in line
