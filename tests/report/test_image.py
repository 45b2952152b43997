"""Drawings as images of the data set, in a real browser, against SciPy and the data sets' own images."""

import base64
import os
from pathlib import Path

import numpy as np
import pytest
from in_browser import loaded
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.datasets import load_digits

from mnist_hpc.data import idx
from mnist_hpc.data.sources import digits as digits_source

pytestmark = pytest.mark.slow

CANVAS = 420


@pytest.fixture(scope="module")
def net(browser):
    """Return a page with the functions of the modules."""
    page = loaded(browser)
    yield page
    page.close()


def shapes():
    """Return drawings, 0 to 1, of the size of the canvas."""
    # None is symmetric: the centre of mass would lie just between two pixels.
    drawn = {
        "one": lambda pen: pen.line([(200, 60), (190, 200), (195, 360)], fill=255, width=42),
        "slanted": lambda pen: pen.polygon([(60, 300), (350, 60), (330, 110)], fill=255),
        "minus": lambda pen: pen.polygon([(20, 100), (400, 120), (390, 150)], fill=255),
        "zero": lambda pen: pen.arc([100, 50, 310, 371], -50, 290, fill=255, width=40),
        "small": lambda pen: pen.arc([300, 301, 333, 345], 30, 290, fill=200, width=9),
        "corner": lambda pen: pen.rectangle([0, 0, 3, 9], fill=90),
        "seven": lambda pen: pen.line([(90, 70), (320, 75), (180, 380)], fill=255, width=37),
        "dot": lambda pen: pen.point([(419, 419)], fill=255),
        "all": lambda pen: pen.rectangle([0, 0, 419, 419], fill=255),
    }
    images = {name: Image.new("L", (CANVAS, CANVAS)) for name in drawn}
    for name, draw in drawn.items():
        draw(ImageDraw.Draw(images[name]))
    return [pytest.param(np.asarray(image) / 255, id=name) for name, image in images.items()]


def area_means(image, top, left, height, width, rows, columns):
    """Return the means of a grid over a box, which may reach beyond the image, from a summed-area table."""
    table = np.pad(image, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    across = [np.interp(left + width * np.arange(columns + 1) / columns, np.arange(CANVAS + 1), row) for row in table]
    down = [
        np.interp(top + height * np.arange(rows + 1) / rows, np.arange(CANVAS + 1), row) for row in np.array(across).T
    ]
    return np.diff(np.diff(np.array(down).T, axis=0), axis=1) * rows * columns / (height * width)


def box_of(image):
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return rows[0], columns[0], int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def like_mnist(image):
    """Return what http://yann.lecun.com/exdb/mnist/ describes, written with SciPy."""
    top, left, height, width = box_of(image)
    rows, columns = (max(1, int(np.floor(20 * length / max(height, width) + 0.5))) for length in (height, width))
    small = area_means(image, top, left, height, width, rows, columns)
    shift = [np.floor(14 - centre + 0.5) for centre in ndimage.center_of_mass(small)]
    shift = [np.clip(step, 0, 28 - length) for step, length in zip(shift, small.shape, strict=True)]
    return ndimage.shift(np.pad(small, ((0, 28 - rows), (0, 28 - columns))), shift, order=0)


def like_digits(image):
    """Return the drawing as scikit-learn would have stored it, converted as the data set is."""
    top, left, height, width = box_of(image)
    side = max(height, width)
    grid = area_means(image, top - (side - height) / 2, left - (side - width) / 2, side, side, 8, 8)
    where = ((np.arange(20) + 0.5) * 8 / 20 - 0.5).clip(0, 7)
    bilinear = ndimage.map_coordinates(
        np.floor(16 * grid + 0.5) / 16, np.meshgrid(where, where, indexing="ij"), order=1
    )
    return np.pad(bilinear, 4)


def by_browser(net, function, image, scale=1):
    """Return a drawing as an image (28, 28); ``scale`` enlarges it first, without interpolation."""
    values = net.evaluate(
        """([name, text, side, scale]) => {
            const image = new Float32Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
            const rows = side * scale, at = i => Math.floor(i / scale);
            const values = Float32Array.from(
                { length: rows * rows }, (_, i) => image[side * at(Math.floor(i / rows)) + at(i % rows)]);
            const made = window[name]({ rows, columns: rows, values });
            return made && [...made];
        }""",
        [function, base64.b64encode(image.astype("<f4").tobytes()).decode(), len(image), scale],
    )
    return None if values is None else np.reshape(values, (28, 28))


@pytest.mark.parametrize("image", shapes())
def test_drawings_are_scaled_and_centred_as_mnist_was(net, image):
    # Half a grey level of rounding; a mean in float32 may fall on the other side of it.
    assert by_browser(net, "centred", image) == pytest.approx(like_mnist(image), abs=0.51 / 255)


@pytest.mark.parametrize("image", shapes())
def test_drawings_pass_through_the_pixels_of_the_demos_digits(net, image):
    found, expected = by_browser(net, "coarse", image), like_digits(image)
    # Where a mean is just between two of the 16 levels, the two may choose differently.
    assert np.mean(np.abs(found - expected) < 0.51 / 255) > 0.97
    assert found == pytest.approx(expected, abs=1 / 16 + 0.51 / 255)


def test_an_empty_drawing_is_none(net):
    for function in ("centred", "coarse"):
        assert by_browser(net, function, np.zeros((28, 28)), 15) is None


@pytest.mark.skipif("MNIST_DIR" not in os.environ, reason="MNIST_DIR does not name a folder with MNIST")
def test_mnists_digits_stay_what_and_where_they_are(net):
    images = mnist_images()[::100]
    moved = [by_browser(net, "centred", image / 255, 15) for image in images]
    for image, found in zip(images / 255, moved, strict=True):
        shift = np.subtract(ndimage.center_of_mass(found), ndimage.center_of_mass(image))
        assert np.abs(shift).max() <= 1
    same = [np.abs(found - image).max() < 0.51 / 255 for image, found in zip(images / 255, moved, strict=True)]
    assert np.mean(same) > 0.97  # the box of a few is not 20 pixels


def test_the_demos_digits_stay_what_they_are(net):
    test = digits_source.load({}, Path())[0]["test"].inputs
    grids = load_digits().images[-360:]
    # The drawing is put into the middle; these digits were.
    central = [place for place, grid in enumerate(grids) if grid.any(axis=0).nonzero()[0][[0, -1]].sum() == 7][::6]
    assert len(central) > 20
    for place in central:
        found = by_browser(net, "coarse", grids[place] / 16, 50)
        # A level just between two is rounded up here, and to an even one there.
        assert found == pytest.approx(test[place] / 255, abs=1.01 / 255)


def mnist_images():
    path, shape = Path(os.environ["MNIST_DIR"]) / "t10k-images-idx3-ubyte.gz", (10_000, 28, 28)
    return idx.decode(idx.decompress(path, shape), shape)
