"""Nets that separate points of the plane."""

import numpy as np
import pytest
from drawn import texts

from mnist_hpc.data.splits import Split
from mnist_hpc.figures import plane
from mnist_hpc.training.models_file import Model, write_models


@pytest.mark.usefixtures("tensorflow")
def test_the_plane_is_drawn_for_the_seeds_that_did_not_fail(tmp_path):
    from mnist_hpc.training import models

    layers = [{"Dense": {"units": 3, "activation": "tanh"}}, {"Dense": {"units": 2}}]
    trained = {
        seed: Model({"validation_accuracy": 0.75}, models.weights(models.build(layers, (2,), seed))) for seed in (0, 2)
    }
    header = {"layers": layers, "input_shape": [2], "classes": 2, "variant": "net", "dataset": "circle"}
    write_models(tmp_path / "models.h5", header, {1: Model({}, {}), **trained})
    points = Split(np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32), np.arange(50) % 2)
    plane.boundaries(tmp_path / "models.h5", points, tmp_path / "boundaries.svg")
    found = texts(tmp_path / "boundaries.svg")
    assert "seed 0: validation accuracy 75.0 %" in found
    assert "seed 2: validation accuracy 75.0 %" in found
    assert "seed 1" not in found
    plane.hidden_space(tmp_path / "models.h5", points, tmp_path / "space.svg")
    assert "unit 3" in texts(tmp_path / "space.svg")
    write_models(tmp_path / "failed.h5", header, {0: Model({}, {})})
    for drawing in (plane.boundaries, plane.hidden_space):
        drawing(tmp_path / "failed.h5", points, tmp_path / "failed.svg")
        assert "no training of this variant succeeded" in texts(tmp_path / "failed.svg")


@pytest.mark.usefixtures("tensorflow")
def test_the_hidden_space_is_drawn_for_an_output_without_bias(tmp_path):
    from mnist_hpc.training import models

    layers = [{"Dense": {"units": 3}}, {"BatchNormalization": {}}, {"Dense": {"units": 2, "use_bias": False}}]
    trained = Model({"validation_accuracy": 0.75}, models.weights(models.build(layers, (2,), 0)))
    header = {"layers": layers, "input_shape": [2], "classes": 2, "variant": "net", "dataset": "circle"}
    write_models(tmp_path / "models.h5", header, {0: trained})
    points = Split(np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32), np.arange(50) % 2)
    plane.hidden_space(tmp_path / "models.h5", points, tmp_path / "space.svg")
    assert "unit 3" in texts(tmp_path / "space.svg")
