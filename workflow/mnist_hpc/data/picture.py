"""Convert a user's own picture of a digit to an image like MNIST's."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mnist_hpc.errors import UserError, reason

MIDDLE = 14  # the pixel, counted from 0, on which MNIST has the centre of mass


@contextlib.contextmanager
def _huge_refused() -> Iterator[None]:
    """Let Pillow refuse pictures above the size at which it warns, 89 megapixels: they take gigabytes of memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_digit(path: Path) -> np.ndarray:
    """Return a picture as uint8 (28, 28): a bright digit on black, with MNIST's size and position.

    The picture is converted to grey, inverted if its border is bright, cropped to what stands out from the background
    (more than a quarter of the brightest value), scaled to fit a 20×20 box and shifted so that its centre of mass is on
    pixel 14, as http://yann.lecun.com/exdb/mnist/ describes. Raise UserError if it is not a picture, or is empty.
    """
    try:
        with _huge_refused(), Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)  # as the camera was held
            if picture.mode.startswith("I"):  # 16 bits per pixel, which Pillow would clip to 255
                grey = np.asarray(picture, np.float32) * (255 / 65535)
            else:
                # A transparent background counts as white paper.
                flat = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
                grey = np.asarray(flat.convert("L"), np.float32)
    except FileNotFoundError:
        raise UserError(f"{path}: not found; expected a picture of a digit, such as PNG or JPEG") from None
    except Exception as error:  # noqa: BLE001  each format has errors of its own
        raise UserError(f"{path}: {reason(error)}; expected a picture, such as PNG or JPEG") from None
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = np.median(border) - grey if np.median(border) > 127 else grey - np.median(border)
    ink = ink.clip(0)
    rows, columns = np.nonzero(ink > max(ink.max() / 4, 16))
    if not rows.size:
        raise UserError(f"{path}: nothing stands out from the background; expected one digit")
    cut = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] / ink.max()
    scale = 20 / max(cut.shape)
    size = tuple(max(1, round(length * scale)) for length in reversed(cut.shape))
    small = np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BILINEAR))
    mass = [np.average(np.arange(length), weights=small.sum(axis=1 - axis)) for axis, length in enumerate(small.shape)]
    top, left = (
        int(np.clip(round(MIDDLE - centre), 0, 28 - length)) for centre, length in zip(mass, small.shape, strict=True)
    )
    image = np.zeros((28, 28), np.uint8)
    image[top : top + small.shape[0], left : left + small.shape[1]] = np.rint(255 * small)
    return image
