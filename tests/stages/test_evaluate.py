"""Evaluation: what meets the test set, and what is written of it."""

import csv
import json

import h5py
import numpy as np
import pytest

from conftest import call, error_line, specification
from mnist_hpc.data.splits import read_split, write_split
from mnist_hpc.files import hdf5
from mnist_hpc.training.models_file import Model, read_models, write_models

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture(scope="module")
def block(digits, tmp_path_factory):
    """Return a folder with models and evaluation of two seeds, the second of which failed, made by the commands."""
    folder = tmp_path_factory.mktemp("block")
    trained = call(
        *("train", "--data", digits / "train.h5", "--variant", "tiny", "--seeds", "0-1"),
        *(
            "--specification",
            json.dumps(specification()),
            "--code-hash",
            "trainedtoday",
            "--models",
            folder / "models.h5",
        ),
        *("--history", folder / "history.csv"),
    )
    assert trained.returncode == 0, trained.stderr
    header, models = read_models(folder / "models.h5")
    models[1] = Model(models[1].facts | {"status": "failed", "failed_step": 7}, {})
    write_models(folder / "models.h5", header, models)
    evaluated = call(
        *("evaluate", "--models", folder / "models.h5", "--data", digits / "test.h5", "--code-hash", "evaluated"),
        *("--metrics", folder / "metrics.csv", "--predictions", folder / "predictions.h5"),
    )
    assert evaluated.returncode == 0, evaluated.stderr
    return folder


def metrics(block):
    with (block / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_accuracy_loss_and_confusion_are_those_of_the_predictions(block, digits):
    with hdf5.reading(digits / "test.h5") as file:
        labels = read_split(file).labels
    with h5py.File(block / "predictions.h5") as file:
        probabilities = file["seed-0/probabilities"][()]
        confusion = file["seed-0/confusion"][()]
        assert np.array_equal(file["labels"], labels)
    row = metrics(block)[0]
    predicted = probabilities.argmax(axis=1)
    assert probabilities.shape == (360, 10)
    assert probabilities.dtype == np.float32
    assert float(row["test_accuracy"]) == pytest.approx(np.mean(predicted == labels))
    own = probabilities[np.arange(360), labels]
    assert float(row["test_loss"]) == pytest.approx(-np.log(own).mean(), rel=1e-5)
    assert confusion.sum() == 360
    assert confusion[3, 5] == np.sum((labels == 3) & (predicted == 5))
    assert np.trace(confusion) == np.sum(predicted == labels)


def test_a_failed_seed_has_its_row_and_no_predictions(block):
    row = metrics(block)[1]
    assert (row["seed"], row["status"], row["failed_step"], row["test_accuracy"]) == ("1", "failed", "7", "")
    with h5py.File(block / "predictions.h5") as file:
        assert "seed-1" not in file


def test_the_hardest_images_are_kept_with_the_wrongly_read_ones(block, digits):
    with hdf5.reading(digits / "test.h5") as file:
        test = read_split(file)
    with h5py.File(block / "predictions.h5") as file:
        probabilities, hardest = file["seed-0/probabilities"][()], file["seed-0/hardest"][()]
        index = file["examples/index"][()]
        assert np.array_equal(file["examples/images"], test.inputs[index])
    own = probabilities[np.arange(360), test.labels]
    assert np.all(np.diff(own[hardest]) >= 0)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != test.labels)
    assert 0 < len(wrong) < 200
    assert set(wrong) <= set(hardest) <= set(index)


def test_a_hundred_images_are_kept_whatever_was_predicted_the_same_for_every_variant(block, digits):
    from mnist_hpc.training import evaluation

    with hdf5.reading(digits / "test.h5") as file:
        test = read_split(file)
    with h5py.File(block / "predictions.h5") as file:
        index, hardest = file["sample/index"][()], file["seed-0/hardest"][()]
        assert np.array_equal(file["sample/images"], test.inputs[index])
        assert np.array_equal(file["sample/labels"], test.labels[index])
    assert len(set(index)) == 100
    assert index.tolist() == evaluation.sample(360) == sorted(index)
    # Drawn at random, they are as hard as all: 200 of 360 are among the hardest, ± 4 standard deviations.
    assert np.isin(index, hardest).mean() == pytest.approx(200 / 360, abs=0.17)
    assert evaluation.sample(7) == [*range(7)]


def test_an_incomplete_last_batch_changes_nothing(block, digits, monkeypatch):
    from mnist_hpc.training import evaluation, models

    with hdf5.reading(digits / "test.h5") as file:
        test = read_split(file)
    header, trained = read_models(block / "models.h5")
    whole = evaluation.evaluate(header, trained, test, 10)[0]
    monkeypatch.setattr(models, "PREDICTION_BATCH", 7)
    parts = evaluation.evaluate(header, trained, test, 10)[0]
    assert np.array_equal(whole["confusion"], parts["confusion"])
    # Another batch size sums in another order.
    assert parts["probabilities"] == pytest.approx(whole["probabilities"], abs=1e-6)


def test_every_row_says_what_it_was_made_from(block):
    row = metrics(block)[0]
    assert len(row["spec_hash"]) == len(row["data_hash"]) == 12
    assert (row["code_hash"], row["evaluation_code_hash"]) == ("trainedtoday", "evaluated")
    assert row["device"].startswith(("CPU ", "GPU "))
    assert (row["threads"], row["batch_size"], row["steps"], row["parameters"]) == ("1", "100", "60", "7850")
    assert float(row["images_per_second"]) == pytest.approx(60 * 100 / float(row["train_seconds"]))


def test_models_of_other_data_are_refused(block, digits, tmp_path):
    with hdf5.reading(digits / "test.h5") as file:
        test, attributes = read_split(file), dict(file.attrs)
    with hdf5.writing(tmp_path / "test.h5", attributes | {"data_hash": "other"}) as file:
        write_split(file, test)
    outputs = ("--metrics", tmp_path / "m.csv", "--predictions", tmp_path / "p.h5")
    line = error_line(call("evaluate", "--models", block / "models.h5", "--data", tmp_path / "test.h5", *outputs))
    assert "train it again" in line
    assert not (tmp_path / "m.csv").exists()
