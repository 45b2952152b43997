"""Transformed test images, against SciPy."""

import numpy as np
import pytest
from scipy import ndimage

pytestmark = pytest.mark.usefixtures("tensorflow")

# Away from the edges, so that nothing leaves the image at small shifts.
IMAGES = np.zeros((40, 28, 28), np.uint8)
IMAGES[:, 6:22, 6:22] = np.random.default_rng(0).integers(256, size=(40, 16, 16))
GREYS = IMAGES / 255


def transformed(transform, level, images=IMAGES):
    from mnist_hpc.training.perturbation import transformed as found

    return found(images, transform, level)[..., 0]


def one_of(image, candidates):
    """Return which of several images one is, to within float32."""
    (place,) = [place for place, other in enumerate(candidates) if np.abs(image - other).max() < 1e-4]
    return place


def directions(transform, level, candidates):
    """Return which of its candidates each transformed image is; ``candidates`` makes them from an image."""
    return [one_of(image, candidates(grey)) for image, grey in zip(transformed(transform, level), GREYS, strict=True)]


def test_an_image_is_shifted_by_whole_pixels_in_one_of_four_directions_the_same_at_each_level():
    def shifted(pixels):
        steps = ((0, pixels), (pixels, 0), (0, -pixels), (-pixels, 0))
        return lambda grey: [ndimage.shift(grey, step, order=0) for step in steps]

    found = directions("shift", 3, shifted(3))
    assert set(found) == {0, 1, 2, 3}
    assert directions("shift", 1, shifted(1)) == found


def test_an_image_is_rotated_about_its_centre_one_way_or_the_other_the_same_at_each_level():
    def rotated(degrees):
        options = {"reshape": False, "order": 1, "mode": "grid-constant"}
        return lambda grey: [ndimage.rotate(grey, sign * degrees, **options) for sign in (-1, 1)]

    found = directions("rotation", 30, rotated(30))
    assert set(found) == {0, 1}
    assert directions("rotation", 10, rotated(10)) == found


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_an_image_is_zoomed_about_its_centre(factor):
    offset = 13.5 * (1 - 1 / factor)
    expected = [
        ndimage.affine_transform(grey, [1 / factor, 1 / factor], offset, order=1, mode="grid-constant")
        for grey in GREYS
    ]
    assert transformed("zoom", factor) == pytest.approx(np.array(expected), abs=1e-5)


def test_noise_has_the_standard_deviation_of_its_level_and_stays_between_black_and_white():
    grey = np.full((40, 28, 28), 128, np.uint8)
    noise = transformed("noise", 0.1, grey) - 128 / 255
    # 31,360 draws: the standard error of the mean is 0.0006, that of the standard deviation 0.0004.
    assert noise.mean() == pytest.approx(0, abs=0.003)
    assert noise.std() == pytest.approx(0.1, abs=0.002)
    assert (transformed("noise", 0.05, grey) - 128 / 255) * 2 == pytest.approx(noise, abs=1e-6)
    loud = transformed("noise", 0.5)
    assert (loud.min(), loud.max()) == (0, 1)


def test_images_are_unchanged_without_a_transform_and_equal_for_all_nets():
    from mnist_hpc.training import perturbation

    assert transformed("none", 0.0) == pytest.approx(GREYS, abs=1e-7)
    for transform, levels in perturbation.LEVELS.items():
        for level in levels:
            first, second = (perturbation.transformed(IMAGES, transform, level) for _ in range(2))
            assert np.array_equal(first, second)
            assert first.dtype == np.float32
            assert first.shape == (40, 28, 28, 1)
            assert (first.min(), first.max()) >= (0, 0)
            assert first.max() <= 1
