import numpy as np
import pytest
from PIL import Image, ImageDraw

from mnist_hpc.data.picture import read_digit
from mnist_hpc.errors import UserError


def picture(path, paper="white", ink="black", size=(200, 300), at=(60, 40)):
    """Draw a broad 1 somewhere on a page."""
    image = Image.new("RGB", size, paper)
    ImageDraw.Draw(image).rectangle([*at, at[0] + 25, at[1] + 150], fill=ink)
    image.save(path)
    return path


@pytest.mark.parametrize(
    ("paper", "ink"), [("white", "black"), ("black", "white"), ("#ffffcc", "#102060"), ("#333333", "#bbbbbb")]
)
def test_a_digit_of_any_colour_and_place_becomes_bright_on_black_in_the_middle(tmp_path, paper, ink):
    found = read_digit(picture(tmp_path / "one.png", paper, ink, at=(20, 90)))
    assert found.shape == (28, 28)
    assert found.dtype == np.uint8
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max()) == (4, 23)
    assert columns.max() - columns.min() + 1 == pytest.approx(20 * 26 / 151, abs=1)
    assert np.average(np.arange(28), weights=found.sum(axis=0)) == pytest.approx(14, abs=0.5)
    assert found.max() == 255


def test_a_transparent_background_is_paper(tmp_path):
    image = Image.new("RGBA", (100, 100), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle([45, 10, 55, 90], fill=(0, 0, 0, 255))
    image.save(tmp_path / "one.png")
    assert read_digit(tmp_path / "one.png").sum() > 0


@pytest.mark.parametrize(("paper", "ink"), [(60000, 8000), (300, 65535)])
def test_a_picture_of_16_bits_a_pixel_is_read(tmp_path, paper, ink):
    values = np.full((100, 80), paper, np.uint16)
    values[30:60, 35:45] = ink
    Image.fromarray(values).save(tmp_path / "digit.png")
    image = read_digit(tmp_path / "digit.png")
    assert image[14, 14] == 255
    assert image[0].max() == 0


def test_an_mnist_like_image_stays_as_it_is(digit_splits, tmp_path):
    original = digit_splits[0].inputs[0]
    Image.fromarray(original).save(tmp_path / "digit.png")
    found = read_digit(tmp_path / "digit.png")
    # Cut, scaled and moved by a pixel at most: nearly the same picture.
    assert np.corrcoef(found.ravel(), original.ravel())[0, 1] > 0.7


@pytest.mark.parametrize(("name", "message"), [("empty.png", "nothing stands out"), ("text.png", "expected a picture")])
def test_what_is_no_digit_is_refused(tmp_path, name, message):
    Image.new("L", (50, 50), 255).save(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=message):
        read_digit(tmp_path / name)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_is_read_as_the_camera_was_held(tmp_path, orientation):
    upright = picture(tmp_path / "upright.png", at=(20, 90))
    turned = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(upright).transpose(turned).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(read_digit(tmp_path / "photo.png"), read_digit(upright))


def test_a_huge_picture_is_refused(tmp_path, monkeypatch):
    picture(tmp_path / "one.png")
    for limit in (40_000, 10_000):  # above the first Pillow warns, above twice the other it refuses
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(UserError, match=r"one\.png: Image size \(60000 pixels\) exceeds limit"):
            read_digit(tmp_path / "one.png")


def test_a_damaged_picture_of_whatever_format_is_refused(tmp_path):
    for name in ("one.tiff", "one.avif", "one.webp", "one.dds"):
        path = picture(tmp_path / name)
        path.write_bytes(path.read_bytes()[:100] + bytes(20))
        with pytest.raises(UserError, match="expected a picture"):
            read_digit(path)
