"""What the browser is given of a trained model, and which models are refused."""

import base64
import json

import numpy as np
import pytest
import yaml

from conftest import ROOT
from mnist_hpc.errors import UserError
from mnist_hpc.report import weights
from mnist_hpc.study.layers import LAYERS
from mnist_hpc.study.schema import SCHEMA
from mnist_hpc.study.specification import Study

HEADER = {"input_shape": [28, 28, 1], "loss": {"CategoricalCrossentropy": {}}}
LINEAR = [{"Flatten": {}}, {"Dense": {"units": 10}}]


def dense(kernel, place=2):
    return {f"{place:02d}_dense/kernel": kernel, f"{place:02d}_dense/bias": np.zeros(kernel.shape[-1], np.float32)}


def kernel_of(model):
    """Return the kernel of the last operation as a browser reads it."""
    stored = model["operations"][-1]["kernel"]
    numbers = np.frombuffer(base64.b64decode(model["weights"]), "<i2", np.prod(stored["shape"]), stored["start"])
    return numbers.reshape(stored["shape"]) * stored["step"]


def test_every_layer_and_activation_that_a_config_may_have_is_supported():
    assert set(weights.LOWERED) == {name for name, layer in LAYERS.items() if not layer.augmentation}
    names = yaml.safe_load(SCHEMA.read_text())["$defs"]["activation"]["enum"]
    source = (ROOT / "workflow/mnist_hpc/report/net.js").read_text()
    known = source.partition("const ACTIVATIONS = {")[2].partition("};")[0]
    assert all(f"\n  {name}" in known for name in names if name != "linear")


@pytest.mark.usefixtures("tensorflow")
def test_defaults_are_those_of_keras():
    from keras import layers

    assert layers.BatchNormalization().epsilon == layers.LayerNormalization().epsilon == weights.EPSILON
    assert float(layers.LeakyReLU().negative_slope) == pytest.approx(weights.NEGATIVE_SLOPE)
    assert layers.ELU().alpha == weights.operations([{"ELU": {}}], {})[0]["parameter"]
    assert layers.MaxPooling2D().pool_size == tuple(weights.operations([{"MaxPooling2D": {}}], {})[0]["size"])


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_kernels_are_right_to_half_a_step_whatever_their_size(scale):
    kernel = (np.random.default_rng(0).normal(size=(784, 10)) * scale).astype(np.float32)
    model = weights.exported(HEADER | {"layers": LINEAR}, dense(kernel))
    assert np.abs(kernel_of(model) - kernel).max() <= np.abs(kernel).max() / 65534 * 1.0001
    assert json.loads(json.dumps(model)) == model


def test_a_kernel_of_zeros_stays_zero():
    model = weights.exported(HEADER | {"layers": LINEAR}, dense(np.zeros((784, 10), np.float32)))
    assert not kernel_of(model).any()


def test_biases_are_float32_as_they_were():
    given = dense(np.ones((784, 10), np.float32))
    given["02_dense/bias"] = np.random.default_rng(0).normal(size=10).astype(np.float32)
    stored = weights.exported(HEADER | {"layers": LINEAR}, given)["operations"][-1]["bias"]["values"]
    assert np.array_equal(np.float32(stored), given["02_dense/bias"])


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("variant", ["regression", "hidden-relu", "cnn-fast"])
def test_a_weight_takes_two_bytes(variant):
    from mnist_hpc.training import models

    layers = Study.read(ROOT / "config.yaml").variants[variant].specification["layers"]
    layers = [
        {"Normalization": {"mean": 0.1, "variance": 0.1}} if "Normalization" in layer else layer for layer in layers
    ]
    net = models.build(layers, (28, 28, 1), seed=0)
    model = weights.exported(HEADER | {"layers": layers}, models.weights(net))
    kernels = sum(variable.size for variable in models.weights(net).values() if variable.ndim > 1)
    assert len(base64.b64decode(model["weights"])) == 2 * kernels <= 850_000
    assert len(json.dumps(model)) < 4 / 3 * 2 * kernels + 10_000


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([{"Lambda": {"function": "print"}}], r"layers\[0\].*'Lambda'"),
        ([{"Flatten": {}}, {"RandomRotation": {"factor": 0.1}}], r"layers\[1\].*'RandomRotation'"),
        ([{"Conv2D": {"filters": 1, "kernel_size": 3, "dilation_rate": 2}}], r"layers\[0\].*'dilation_rate'"),
        ([{"Activation": {"activation": "mish"}}], r"layers\[0\].*'mish'"),
        ([{"Flatten": {}}, {"Dense": {"units": 10}}], "layer 2: Dense has no 'kernel' in the file; train it again"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value[-1])),
)
def test_a_model_that_no_config_can_have_is_refused(layers, message):
    with pytest.raises(UserError, match=message):
        weights.exported(HEADER | {"layers": layers}, {})


def test_a_layer_that_is_not_supported_yet_is_named(monkeypatch):
    monkeypatch.delitem(weights.LOWERED, "ELU")
    with pytest.raises(UserError, match=r"layer 2: found ELU, which .*, ReLU, LeakyReLU; draw with other variants"):
        weights.exported(HEADER | {"layers": [{"Flatten": {}}, {"ELU": {}}]}, {})


def test_points_of_the_plane_are_no_drawings():
    with pytest.raises(UserError, match=r"found inputs of shape \(2,\), expected \(28, 28, 1\)"):
        weights.exported(HEADER | {"layers": LINEAR, "input_shape": [2]}, {})


def test_a_linear_model_is_recognised():
    kernel = np.ones((784, 10), np.float32)
    assert weights.linear(weights.exported(HEADER | {"layers": LINEAR}, dense(kernel))) == 1
    for layers in ([*LINEAR, {"ReLU": {}}], [LINEAR[0], {"Dense": {"units": 10, "activation": "relu"}}]):
        assert weights.linear(weights.exported(HEADER | {"layers": layers}, dense(kernel))) is None
    noisy = [LINEAR[0], {"Dropout": {"rate": 0.1}}, LINEAR[1]]
    assert weights.linear(weights.exported(HEADER | {"layers": noisy}, dense(kernel, 3))) == 1
