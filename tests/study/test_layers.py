"""The table of layers against Keras."""

import pytest

from mnist_hpc.errors import UserError
from mnist_hpc.study.check_training import check_training
from mnist_hpc.study.layers import LAYERS, output_shape

CASES = [
    ("Flatten", {}),
    ("Reshape", {"target_shape": [14, 14, 4]}),
    ("Dense", {"units": 5}),
    ("Conv2D", {"filters": 6, "kernel_size": 5}),
    ("Conv2D", {"filters": 6, "kernel_size": [3, 4], "strides": [2, 3]}),
    ("Conv2D", {"filters": 6, "kernel_size": 5, "strides": 3, "padding": "same"}),
    ("SeparableConv2D", {"filters": 6, "kernel_size": 3, "strides": 2}),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same"}),
    ("MaxPooling2D", {}),
    ("MaxPooling2D", {"pool_size": 3, "padding": "same"}),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2}),
    ("AveragePooling2D", {"pool_size": [2, 5]}),
    ("GlobalAveragePooling2D", {}),
    ("GlobalMaxPooling2D", {}),
    ("BatchNormalization", {}),
    ("GaussianNoise", {"stddev": 1.0}),
    ("SpatialDropout2D", {"rate": 0.1}),
    ("Normalization", {"mean": 0.5, "variance": 0.1}),
    ("Dropout", {"rate": 0.1}),
    ("LayerNormalization", {}),
    ("Activation", {"activation": "tanh"}),
    ("ReLU", {}),
    ("LeakyReLU", {}),
    ("ELU", {}),
]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("layer", "arguments"), CASES)
@pytest.mark.parametrize("shape", [(28, 28, 1), (14, 7, 8)])
def test_shapes_are_those_of_keras(layer, arguments, shape):
    from mnist_hpc.training import models

    assert output_shape(layer, arguments, shape) == models.build([{layer: arguments}], shape, seed=0).output_shape[1:]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("strides", [[1, 2], [2, 1], [2, 2]])
@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        ("Conv2D", {"filters": 2, "kernel_size": 3}),
        ("SeparableConv2D", {"filters": 2, "kernel_size": 3}),
        ("DepthwiseConv2D", {"kernel_size": 3}),
        ("MaxPooling2D", {"pool_size": 3}),
        ("AveragePooling2D", {"pool_size": 3}),
    ],
)
def test_strides_that_tensorflow_cannot_do_are_refused_and_no_others(layer, arguments, strides):
    import tensorflow as tf

    from mnist_hpc.training import models

    layers = [{layer: arguments | {"strides": strides}}, {"Flatten": {}}, {"Dense": {"units": 10}}]
    net = models.build(layers, (28, 28, 1), seed=0)
    try:
        net(tf.zeros((1, 28, 28, 1)))
        works = True
    except tf.errors.InvalidArgumentError:
        works = False
    try:
        check_training("variants.a", {"layers": layers, "batch_size": 1}, (10, (28, 28, 1), 100), "mnist")
        accepted = True
    except UserError:
        accepted = False
    assert accepted == works


@pytest.mark.parametrize("layer", [name for name, known in LAYERS.items() if known.augmentation])
def test_augmentation_changes_no_shape_and_needs_images(layer):
    assert output_shape(layer, {}, (28, 28, 1)) == (28, 28, 1)
    with pytest.raises(UserError, match="expected \\(rows, columns, channels\\)"):
        output_shape(layer, {}, (2,))


def test_every_layer_of_the_table_is_compared_with_keras():
    assert {name for name, _ in CASES} == {name for name, known in LAYERS.items() if not known.augmentation}


@pytest.mark.parametrize(
    ("layer", "arguments", "shape", "message"),
    [
        ("Conv2D", {"filters": 1, "kernel_size": 3}, (784,), r"found an input of shape \(784,\), expected \(rows"),
        ("MaxPooling2D", {}, (1, 1, 8), "found an input of 1×1 pixels, expected at least 2×2; use a smaller"),
        ("Reshape", {"target_shape": [28, 29]}, (28, 28, 1), r"found target_shape \[28, 29\], expected 784 values"),
    ],
)
def test_a_layer_that_cannot_work_is_refused(layer, arguments, shape, message):
    with pytest.raises(UserError, match=message):
        output_shape(layer, arguments, shape)
