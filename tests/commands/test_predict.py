"""Reading a picture with a trained model."""

import json

import numpy as np
import pytest
from PIL import Image

from conftest import call, error_line, specification


@pytest.mark.usefixtures("tensorflow")
def test_predict_reads_a_digit_from_a_picture(digits, digit_splits, tmp_path):
    trained = call(
        *("train", "--data", digits / "train.h5", "--variant", "regression", "--seeds", "0-0"),
        *("--specification", json.dumps(specification(steps=300))),
        *("--models", tmp_path / "models.h5", "--history", tmp_path / "history.csv"),
    )
    assert trained.returncode == 0, trained.stderr
    position = int(np.flatnonzero(digit_splits[0].labels == 0)[0])
    Image.fromarray(255 - digit_splits[0].inputs[position]).resize((280, 280)).save(tmp_path / "zero.png")
    result = call("predict", "--model", tmp_path / "models.h5", tmp_path / "zero.png")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("0  (0: ")
    assert "nowhere.png" in error_line(call("predict", "--model", tmp_path / "models.h5", "nowhere.png"))
    wrong = error_line(call("predict", "--model", digits / "train.h5", tmp_path / "zero.png"))
    assert wrong.endswith("train.h5: found train, validation in it, expected seeds; choose the models.h5 of a block")
    folder = error_line(call("predict", "--model", tmp_path, tmp_path / "zero.png"))
    assert "Is a directory" in folder
    assert "delete" not in wrong + folder
