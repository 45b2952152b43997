"""Images moved at random: where the pixels go, which draws they come from, and that a training resumes in them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.usefixtures("tensorflow")


def augmented(images, layers, seed=0, step=0):
    from mnist_hpc.training.augmentation import augment

    return augment(tf.constant(images, tf.float32), layers, tf.constant(seed), tf.constant(step)).numpy()


def dots(count, row, column):
    images = np.zeros((count, 29, 29, 1), np.float32)
    images[:, row, column] = 1
    return images


def centres(images):
    """Return the centre of mass of each image, (row, column) from its middle."""
    weights = images[..., 0] / images.sum(axis=(1, 2, 3))[:, np.newaxis, np.newaxis]
    places = np.arange(29) - 14
    return np.stack([(weights * places[:, None]).sum(axis=(1, 2)), (weights * places).sum(axis=(1, 2))], axis=1)


# Exact draws, so that the place is known: a dot 8 to the right of the middle, or 8 below it.
@pytest.mark.parametrize(
    ("layer", "right", "below"),
    [
        (
            {"RandomTranslation": {"height_factor": [2 / 29, 2 / 29], "width_factor": [-3 / 29, -3 / 29]}},
            (2, 5),
            (10, -3),
        ),
        ({"RandomRotation": {"factor": [0.25, 0.25]}}, (-8, 0), (0, 8)),
        ({"RandomZoom": {"height_factor": [-0.5, -0.5], "width_factor": [0.0, 0.0]}}, (0, 8), (16, 0)),
        ({"RandomZoom": {"height_factor": [0.6, 0.6]}}, (0, 5), (5, 0)),
    ],
    ids=["translation", "rotation", "zoom down alone", "zoom"],
)
def test_pixels_go_where_the_layer_says(layer, right, below):
    for start, end in (((14, 22), right), ((22, 14), below)):
        if max(map(abs, end)) <= 14:
            assert centres(augmented(dots(3, *start), [layer])) == pytest.approx(np.array([end] * 3), abs=1e-3)


def test_shear_goes_to_either_side_and_leaves_the_middle():
    layer = {"RandomShear": {"x_factor": [0.5, 0.5]}}
    found = centres(augmented(dots(64, 22, 14), [layer]))
    assert found[:, 0] == pytest.approx(8, abs=1e-3)
    assert {round(float(column)) for column in found[:, 1]} == {-4, 4}
    assert centres(augmented(dots(1, 14, 14), [layer])) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        ("RandomTranslation", {"height_factor": [0.1, 0.1], "width_factor": [-0.2, -0.2]}),
        ("RandomRotation", {"factor": [0.05, 0.05]}),
        ("RandomZoom", {"height_factor": [0.2, 0.2], "width_factor": [-0.2, -0.2]}),
    ],
)
def test_one_layer_is_that_of_keras(layer, arguments):
    images = np.random.default_rng(0).random((2, 28, 28, 1)).astype(np.float32)
    of_keras = getattr(keras.layers, layer)(**arguments, fill_mode="constant", fill_value=0.0, seed=1)
    # Keras turns and scales by sums in another order.
    assert augmented(images, [{layer: arguments}]) == pytest.approx(np.array(of_keras(images, training=True)), abs=1e-3)


@pytest.mark.parametrize(("factor", "across", "down"), [("x_factor", 7, 0), ("y_factor", 0, 7)])
def test_shear_is_that_of_keras_about_the_centre_instead_of_the_corner(factor, across, down):
    """What Keras gives is ours moved by half of the image times the factor: with 29 pixels, the middle is pixel 14."""
    images = np.random.default_rng(0).random((8, 29, 29, 1)).astype(np.float32)
    arguments = {factor: [0.5, 0.5]}
    of_keras = keras.layers.RandomShear(**arguments, fill_mode="constant", fill_value=0.0, seed=1)
    expected = np.array(of_keras(images, training=True))
    found = augmented(images, [{"RandomShear": arguments}])
    moves = set()
    for image in range(8):
        # Both toss for the direction: find the one of ours that went Keras' way.
        for other in range(8):
            for sign in (1, -1):
                shift = (sign * down, sign * across)
                moved = np.roll(
                    augmented(np.repeat(images[[image]], 8, 0), [{"RandomShear": arguments}])[other], shift, (0, 1)
                )
                inside = (slice(8, -8), slice(8, -8))
                if np.allclose(moved[inside], expected[image][inside], atol=1e-3):
                    moves.add(sign)
    assert moves == {1, -1}
    assert not np.allclose(found, expected, atol=0.1)


@pytest.mark.parametrize(
    ("arguments", "together"),
    [
        ({"x_factor": 0.5, "y_factor": 0.5}, 0.5),
        ({"x_factor": [0.4, 0.5], "y_factor": [0.4, 0.5]}, 1.0),
        ({"x_factor": 0.5, "y_factor": [0.4, 0.5]}, 0.5),
        ({"x_factor": [0.4, 0.5], "y_factor": 0.5}, 0.5),
    ],
)
def test_both_shears_go_to_the_same_side_as_often_as_in_keras(arguments, together):
    layer = keras.layers.RandomShear(**arguments, seed=1)
    factors = np.array(layer.get_random_transformation(dots(400, 14, 14))["shear_factor"])
    right = centres(augmented(dots(400, 22, 14), [{"RandomShear": arguments}]))[:, 1]
    below = centres(augmented(dots(400, 14, 22), [{"RandomShear": arguments}]))[:, 0]
    # A standard deviation of 0.025.
    assert np.mean(factors[:, 0] * factors[:, 1] > 0) == pytest.approx(together, abs=0.1)
    assert np.mean(right * below > 0) == pytest.approx(together, abs=0.1)
    assert np.mean(right > 0) == pytest.approx(0.5, abs=0.1)
    assert np.mean(below > 0) == pytest.approx(0.5, abs=0.1)


def test_draws_fill_their_range_evenly_and_differ_by_image_step_and_seed():
    layer = {"RandomTranslation": {"height_factor": 0.2, "width_factor": 0.0}}
    found = [
        centres(augmented(dots(400, 14, 14), [layer], seed, step))[:, 0] for seed, step in ((0, 0), (0, 1), (1, 0))
    ]
    assert len({round(float(row), 3) for rows in found for row in rows}) > 1000
    # Uniform on ± 0.2 × 29: standard deviation 5.8 / √3, whose estimate from 400 draws is off by 3 % or so.
    assert np.std(found[0]) == pytest.approx(5.8 / np.sqrt(3), rel=0.12)
    assert abs(found[0]).max() <= 5.8 + 1e-3


def test_nothing_is_flipped_and_the_outside_is_black():
    images = np.ones((50, 28, 28, 1), np.float32)
    images[:, :, 14:] = 0.5  # brighter on the left
    layers = [{"RandomRotation": {"factor": 0.05}}, {"RandomTranslation": {"height_factor": 0.1, "width_factor": 0.1}}]
    found = augmented(images, layers)
    assert (found[:, 10:18, 4:10].mean(axis=(1, 2, 3)) > found[:, 10:18, 18:24].mean(axis=(1, 2, 3))).all()
    assert found.min() == 0
    assert found.max() <= 1 + 1e-5


@pytest.mark.parametrize("name", ["one", "many"])
def test_the_images_are_the_same_without_the_operation_that_xla_lacks(name):
    """Against TensorFlow's ImageProjectiveTransform, on images of more than one channel that are not square."""
    layers = [
        {"RandomRotation": {"factor": 0.1}},
        {"RandomZoom": {"height_factor": 0.3, "width_factor": 0.3}},
        {"RandomShear": {"x_factor": 0.3}},
        {"RandomTranslation": {"height_factor": 0.4, "width_factor": 0.4}},
    ]
    from mnist_hpc.training import augmentation

    images = tf.constant(np.random.default_rng(0).random((50, 20, 28, 2)), tf.float32)

    @tf.function(jit_compile=True)
    def gathered(maps):
        return augmentation.warp_by_gathering(images, maps)

    maps = []
    expected = augmentation.augment(
        images,
        layers[: 1 if name == "one" else 4],
        tf.constant(1),
        tf.constant(2),
        lambda images, given: maps.append(given) or augmentation.warp(images, given),
    )
    # Positions are sums in another order, and a pixel may differ from its neighbour by 1.
    assert gathered(maps[0]).numpy() == pytest.approx(expected.numpy(), abs=1e-4)
