"""Keras models from layers, and trained ones from a file."""

import inspect

import numpy as np
import pytest
import yaml

from mnist_hpc.data.splits import Split
from mnist_hpc.errors import UserError
from mnist_hpc.study.layers import LAYERS
from mnist_hpc.study.schema import SCHEMA
from mnist_hpc.training.models_file import Model, read_models, write_models

pytestmark = pytest.mark.usefixtures("tensorflow")

CNN = [
    {"Conv2D": {"filters": 2, "kernel_size": 3, "activation": "relu"}},
    {"BatchNormalization": {}},
    {"MaxPooling2D": {}},
    {"Flatten": {}},
    {"Dropout": {"rate": 0.5}},
    {"Dense": {"units": 10}},
]


def values(model):
    return [variable.numpy() for variable in model.variables]


def test_the_seed_decides_the_initial_weights():
    from mnist_hpc.training import models

    first, again, other = (values(models.build(CNN, (28, 28, 1), seed)) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("kind", ["layer", "optimizer"])
def test_every_layer_and_argument_of_the_schema_is_keras(kind):
    import keras

    schema = yaml.safe_load(SCHEMA.read_text())["$defs"]
    module = keras.layers if kind == "layer" else keras.optimizers
    known = schema[kind]["else"]["properties"]
    assert kind == "optimizer" or set(known) == {name for name, layer in LAYERS.items() if not layer.augmentation}
    for name, arguments in known.items():
        meant = arguments
        while "$ref" in meant:
            meant = schema[meant["$ref"].rpartition("/")[2]]
        parameters = inspect.signature(getattr(module, name)).parameters
        assert set(meant["properties"]) <= set(parameters), name


@pytest.mark.parametrize("kind", ["activation", "initializer"])
def test_every_activation_and_initializer_of_the_schema_is_keras(kind):
    import keras

    find = keras.activations.get if kind == "activation" else keras.initializers.get
    for name in yaml.safe_load(SCHEMA.read_text())["$defs"][kind]["enum"]:
        assert callable(find(name))


@pytest.fixture
def trained(tmp_path):
    """Return a models file with seed 5, and the model it was made from."""
    from mnist_hpc.training import models

    model = models.build(CNN, (28, 28, 1), seed=5)
    facts = {"layers": CNN, "input_shape": [28, 28, 1], "loss": {"CategoricalCrossentropy": {}}, "dataset": "digits"}
    runs = {5: Model({"status": "ok"}, models.weights(model)), 6: Model({"status": "failed"}, {})}
    write_models(tmp_path / "models.h5", facts, runs)
    return tmp_path / "models.h5", model


@pytest.mark.parametrize(
    "layer",
    [{"Lambda": {"function": "print"}}, {"Dense": {"units": 10, "activation": {"class_name": "function"}}}],
    ids=["a function", "an object"],
)
def test_a_model_with_a_layer_that_no_config_can_have_is_refused(layer):
    from mnist_hpc.training import models

    with pytest.raises(UserError, match=f"layer 1: found {next(iter(layer))} with"):
        models.build([layer], (28, 28, 1), seed=0)


def test_weights_that_do_not_fit_the_layers_are_refused(trained):
    from mnist_hpc.training import models

    path, _ = trained
    header, runs = read_models(path)
    write_models(path, header | {"layers": CNN[3:]}, runs)
    with pytest.raises(UserError, match=r"models\.h5: "):
        models.load(path)


def test_load_gives_back_the_trained_model(trained):
    from mnist_hpc.training import models

    path, model = trained
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    assert np.array_equal(models.load(path)(images), model(images))


@pytest.mark.parametrize("kind", ["images", "features"])
def test_normalisation_knows_the_training_data_alone(digit_splits, kind):
    from mnist_hpc.training import models

    train = digit_splits[0] if kind == "images" else Split(np.array([[1, 10], [3, 30]], np.float32), None)
    layers = models.adapted([{"Normalization": {}}, {"Flatten": {}}], train)
    model = models.build(layers, models.input_shape(train), seed=0)
    outputs = np.array(model(models.inputs(train.inputs)))
    if kind == "images":
        # One mean and one deviation for all pixels, float32 over 1257 × 784 of them.
        assert outputs.mean() == pytest.approx(0, abs=1e-4)
        assert outputs.std() == pytest.approx(1, abs=1e-4)
    else:
        assert outputs == pytest.approx(np.array([[-1, -1], [1, 1]]), abs=1e-6)
    assert models.adapted([{"Flatten": {}}], train) == [{"Flatten": {}}]
