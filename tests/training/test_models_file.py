"""models.h5: the models of a block as they were trained."""

import numpy as np
import pytest

from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5
from mnist_hpc.training.models_file import Model, read_models, write_models


def test_models_survive_a_round_trip(tmp_path):
    weights = {"02_dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "02_dense/bias": np.zeros(3)}
    snapshots = {"steps": np.array([0, 10, 60]), "02_dense/kernel": np.ones((3, 2, 3), np.float32)}
    models = {10: Model({"status": "ok"}, weights, snapshots), 9: Model({"status": "failed"}, {})}
    write_models(tmp_path / "models.h5", {"layers": [{"Flatten": {}}]}, models)
    specification, found = read_models(tmp_path / "models.h5")
    assert specification == {"layers": [{"Flatten": {}}]}
    assert list(found) == [9, 10]
    assert found[9] == models[9]
    for kept, read in ((weights, found[10].weights), (snapshots, found[10].snapshots)):
        assert kept.keys() == read.keys()
        assert all(np.array_equal(read[name], value) for name, value in kept.items())
        assert all(read[name].dtype == value.dtype for name, value in kept.items())
    with hdf5.reading(tmp_path / "models.h5") as file:
        assert file["seed-10/snapshots/steps"][()].tolist() == [0, 10, 60]
        assert file["seed-10/snapshots/02_dense/kernel"].shape == (3, 2, 3)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    weights = {"01_dense/kernel": np.array([1.0, np.inf])}
    write_models(tmp_path / "models.h5", {}, {0: Model({}, weights)})
    with pytest.raises(UserError, match="seed 0: 01_dense/kernel is not finite"):
        read_models(tmp_path / "models.h5")
