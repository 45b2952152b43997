"""Nets of every allow-listed layer in a real browser, against Keras."""

import json

import numpy as np
import pytest
from in_browser import TOLERANCE, loaded, read_by_browser, read_by_keras

from mnist_hpc.data.splits import read_test
from mnist_hpc.report import weights
from mnist_hpc.study.layers import LAYERS

pytestmark = pytest.mark.slow

ACTIVATIONS = ["linear", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "softplus"]
MODELS = 40


def random_layers(number):
    """Return the layers of a small net; over MODELS of them, every layer and every activation occurs."""
    random = np.random.default_rng(number)

    def one_of(*values):
        return values[random.integers(len(values))]

    def window():
        return {"strides": one_of(1, 2, [1, 2]), "padding": one_of("same", "valid")}

    def learned():
        return {"activation": ACTIVATIONS[(number + random.integers(3)) % 10], "use_bias": bool(random.integers(2))}

    def normalised():
        return {"epsilon": one_of(1e-3, 1e-5), "center": bool(random.integers(2)), "scale": bool(random.integers(2))}

    def anywhere():
        return one_of(
            {"BatchNormalization": normalised()},
            {"LayerNormalization": normalised()},
            {"Activation": {"activation": one_of(*ACTIVATIONS)}},
            {"ReLU": {}},
            {"LeakyReLU": one_of({}, {"negative_slope": 0.1})},
            {"ELU": one_of({}, {"alpha": 0.5})},
            {"Dropout": {"rate": 0.5}},
            {"GaussianNoise": {"stddev": 1.0}},
        )

    images = [
        {"Conv2D": {"filters": 3, "kernel_size": one_of(3, [2, 4]), **window(), **learned()}},
        {
            "SeparableConv2D": {
                "filters": 4,
                "kernel_size": 3,
                "depth_multiplier": one_of(1, 2),
                **window(),
                **learned(),
            }
        },
        {"DepthwiseConv2D": {"kernel_size": one_of(2, 5), "depth_multiplier": one_of(1, 2), **window(), **learned()}},
        {"MaxPooling2D": one_of({}, {"pool_size": 3, **window()})},
        {"AveragePooling2D": {"pool_size": one_of(2, [3, 2]), **one_of({}, window())}},
        {"SpatialDropout2D": {"rate": 0.2}},
        {"Dense": {"units": 5, **learned()}},
    ]
    random.shuffle(images)
    # Strides may be [1, 2] with convolutions of one stride only: TensorFlow has no other depthwise ones.
    for layer in images:
        if "SeparableConv2D" in layer or "DepthwiseConv2D" in layer:
            next(iter(layer.values()))["strides"] = one_of(1, 2)
    layers = [{"Normalization": {"mean": 0.13, "variance": 0.1}}] if number % 2 else []
    layers += [{"Dense": {"units": 3}}] if number % 4 else []  # several channels from the start
    for image in images[:2]:
        layers += [image, anywhere()]
    layers += [one_of({"Flatten": {}}, {"GlobalAveragePooling2D": {}}, {"GlobalMaxPooling2D": {}})]
    layers += [{"Dense": {"units": 12, **learned()}}, {"Reshape": {"target_shape": [3, 4]}}, anywhere()]
    return [*layers, {"Flatten": {}}, {"Dense": {"units": 10}}]


def random_weights(net, images, number):
    """Give a model weights as after a training: statistics are not 0 and 1, and the images are told apart."""
    from mnist_hpc.training import models

    random = np.random.default_rng(number)
    values = models.weights(net)
    for name, value in values.items():
        kind = name.rpartition("/")[2]
        if kind in ("gamma", "moving_variance"):
            values[name] = random.uniform(0.5, 2, value.shape).astype(np.float32)
        elif value.ndim == 1:
            values[name] = random.normal(0, 0.3, value.shape).astype(np.float32)
    models.set_weights(net, values)
    logits = net(models.inputs(images)).numpy()
    last, factor = net.layers[-1].name, min(3 / (logits.std(axis=0).mean() + 1e-9), 20)
    values[f"{last}/bias"] = factor * (values[f"{last}/bias"] - logits.mean(axis=0))
    values[f"{last}/kernel"] *= factor
    models.set_weights(net, values)
    return values


@pytest.fixture(scope="module")
def net(browser):
    """Return a page with the functions of the modules."""
    page = loaded(browser)
    yield page
    page.close()


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_those_of_keras(net, name):
    import keras

    values = np.linspace(-9, 9, 784, dtype=np.float32)
    header = {
        "layers": [{"Activation": {"activation": name}}],
        "input_shape": [28, 28, 1],
        "loss": {"SquaredError": {}},
    }
    found = net.evaluate(
        "([model, values]) => [...probabilities(decoded(model), Float32Array.from(values))]",
        [weights.exported(header, {}), values.tolist()],
    )
    assert found == pytest.approx(keras.ops.sigmoid(keras.activations.get(name)(values)).numpy(), abs=1e-6)


@pytest.mark.usefixtures("tensorflow")
def test_every_layer_agrees_with_keras(net, digits):
    from mnist_hpc.training import models

    images = read_test(digits / "test.h5")[1].inputs[:12]
    seen, spread = set(), []
    for number in range(MODELS):
        layers, loss = random_layers(number), ("CategoricalCrossentropy", "SquaredError")[number % 3 == 0]
        seen |= {name for layer in layers for name in layer}
        seen |= {
            arguments["activation"] for layer in layers for arguments in layer.values() if "activation" in arguments
        }
        model = models.build(layers, (28, 28, 1), seed=number)
        header = {"layers": layers, "input_shape": [28, 28, 1], "loss": {loss: {}}}
        found = read_by_browser(net, weights.exported(header, random_weights(model, images, number)), images)
        expected = read_by_keras(model, loss, images)
        assert found == pytest.approx(expected, abs=TOLERANCE), json.dumps(layers)
        spread.append(np.ptp(expected, axis=0).max())
    assert seen == {name for name, layer in LAYERS.items() if not layer.augmentation} | set(ACTIVATIONS)
    assert np.median(spread) > 0.1
