"""Trained models as .keras files."""

import numpy as np
import pytest

from conftest import call, error_line
from mnist_hpc.training.models_file import Model, write_models

pytestmark = pytest.mark.usefixtures("tensorflow")

LAYERS = [
    {"Conv2D": {"filters": 2, "kernel_size": 3, "activation": "relu"}},
    {"BatchNormalization": {}},
    {"Flatten": {}},
    {"Dense": {"units": 10}},
]


@pytest.fixture
def trained(tmp_path):
    """Return a models file with seed 5 and a failed seed 6, and the model of seed 5."""
    from mnist_hpc.training import models

    model = models.build(LAYERS, (28, 28, 1), seed=5)
    runs = {5: Model({"status": "ok"}, models.weights(model)), 6: Model({"status": "failed"}, {})}
    write_models(tmp_path / "models.h5", {"layers": LAYERS, "input_shape": [28, 28, 1]}, runs)
    return tmp_path / "models.h5", model


def test_export_writes_a_keras_file_that_keras_reads(trained, tmp_path):
    import keras

    path, model = trained
    result = call("export", "--model", path, "--seed", "5", tmp_path / "out.keras")
    assert result.returncode == 0, result.stderr
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    exported = keras.models.load_model(tmp_path / "out.keras", safe_mode=True)
    assert np.array_equal(exported(images), model(images))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["models.h5", "out.keras"]


def test_export_refuses_what_it_cannot_do(trained, tmp_path):
    path, _ = trained
    assert "expected a name that ends in .keras" in error_line(call("export", "--model", path, tmp_path / "out.h5"))
    line = error_line(call("export", "--model", path, "--seed", "7", tmp_path / "out.keras"))
    assert "found seeds 5, 6, expected --seed 7 among them" in line
    line = error_line(call("export", "--model", path, "--seed", "6", tmp_path / "out.keras"))
    assert "the training of seed 6 failed" in line
    assert "nowhere.h5: not found" in error_line(call("export", "--model", "nowhere.h5", tmp_path / "out.keras"))
