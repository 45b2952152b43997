"""The worked examples of the slides, done by the project's own building blocks.

The slides print two or three digits; a tolerance of half of the last one is theirs, unless a comment says more.
"""

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")

INPUTS = np.array([[0.5, 0.9, -0.3]], np.float32)
HIDDEN = np.array([[1, -2, 2], [2, 1, -4], [1, -1, 0]], np.float32).T
OUTPUT = np.array([[-3, 1, -3], [0, 1, 2]], np.float32).T


def network(bias=0.0):
    """Return the network of slide "Inference", its hidden layer with a bias, and its weights set."""
    from mnist_hpc.training import models

    layers = [{"Dense": {"units": 3, "activation": "sigmoid"}}, {"Dense": {"units": 2, "use_bias": False}}]
    model = models.build(layers, (3,), seed=0)
    values = {"01_dense/kernel": HIDDEN, "01_dense/bias": np.full(3, bias), "02_dense/kernel": OUTPUT}
    models.set_weights(model, values)
    return model


def hidden(model):
    return model.layers[0](INPUTS).numpy()[0]


def test_slide_inference_forward_pass():
    from mnist_hpc.training.losses import OUTPUTS

    model = network()
    assert INPUTS[0] @ HIDDEN == pytest.approx([-1.9, 3.1, -0.4], abs=1e-6)
    assert hidden(model) == pytest.approx([0.13, 0.96, 0.40], abs=0.005)
    assert OUTPUTS["SquaredError"](model(INPUTS)).numpy()[0] == pytest.approx([0.35, 0.85], abs=0.005)


def test_slide_biases():
    found = hidden(network(bias=0.1))
    assert INPUTS[0] @ HIDDEN + 0.1 == pytest.approx([-1.8, 3.2, -0.3], abs=1e-6)
    assert found[:2] == pytest.approx([0.14, 0.96], abs=0.005)
    # The slide's 0.4 is 0.43, cut instead of rounded.
    assert found[2] == pytest.approx(0.43, abs=0.005)


def test_slide_training_neural_networks_gradient_of_one_weight():
    import tensorflow as tf

    from mnist_hpc.training.losses import squared_error

    model, targets = network(), tf.constant([[0.9, 0.5]])
    with tf.GradientTape() as tape:
        loss = squared_error(targets, model(INPUTS))
    gradient = tape.gradient(loss, model.layers[1].kernel).numpy()[0, 0]
    # The slide multiplies the rounded .13 and .35: its product is within 3 % of the exact one.
    assert gradient == pytest.approx(0.13 * (0.35 - 0.9) * 0.35 * (1 - 0.35), rel=0.03)


def test_half_squared_error_is_not_keras_mean_squared_error():
    import keras
    import tensorflow as tf

    from mnist_hpc.training.losses import squared_error

    targets, logits = tf.constant([[0.0, 1.0, 0.0, 0.0]]), tf.constant([[0.3, -1.0, 2.0, 0.1]])
    theirs = keras.losses.MeanSquaredError()(targets, tf.sigmoid(logits))
    assert squared_error(targets, logits).numpy()[0] == pytest.approx(float(theirs) * 4 / 2, rel=1e-6)


def test_slide_softmax_cross_entropy_loss():
    import tensorflow as tf

    from mnist_hpc.training.losses import OUTPUTS, categorical_crossentropy, one_hot

    logits = tf.constant([[4.8, -2.6, 2.9]])
    assert OUTPUTS["CategoricalCrossentropy"](logits).numpy()[0] == pytest.approx([0.87, 0.00, 0.13], abs=0.005)
    # The slide prints -log 0.87 = -0.13: a slip of the sign, and cut: it is 0.14.
    loss = categorical_crossentropy(one_hot(tf.constant([0]), 3), logits).numpy()[0]
    assert loss == pytest.approx(0.14, abs=0.005)


def test_slide_mnist_data_one_hot():
    import tensorflow as tf

    from mnist_hpc.training.losses import one_hot

    assert one_hot(tf.constant([6]), 10).numpy().tolist() == [[0, 0, 0, 0, 0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize("stride", [1, 2])
def test_slide_conv2d_is_patches_times_the_flattened_filter(stride):
    from mnist_hpc.training import models

    random = np.random.default_rng(0)
    images = random.normal(size=(2, 7, 6, 3)).astype(np.float32)
    layer = {"Conv2D": {"filters": 4, "kernel_size": [3, 2], "strides": stride, "use_bias": False}}
    model = models.build([layer], (7, 6, 3), seed=0)
    kernel = model.layers[0].kernel.numpy()
    output = model(images).numpy()
    flat = kernel.reshape(3 * 2 * 3, 4)
    for i, j in np.ndindex(output.shape[1:3]):
        patch = images[:, stride * i : stride * i + 3, stride * j : stride * j + 2, :]
        # float32 sums of 18 products in another order
        assert output[:, i, j] == pytest.approx(patch.reshape(2, -1) @ flat, abs=1e-5)


def test_slide_activation_functions():
    import keras

    values = np.array([-2.0, 0.0, 3.0], np.float32)
    assert keras.layers.ReLU()(values).numpy().tolist() == [0, 0, 3]
    assert keras.activations.get("sigmoid")(values).numpy() == pytest.approx(1 / (1 + np.exp(-values)), rel=1e-6)
