"""The part "Draw a digit" in a real browser without a network: against Keras, and as a reader uses it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.datasets import load_digits

from conftest import ROOT, call
from mnist_hpc.data import idx
from mnist_hpc.data.sources import digits as digits_source
from mnist_hpc.data.splits import read_test
from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5
from mnist_hpc.report import drawing, weights
from mnist_hpc.study.layers import LAYERS
from mnist_hpc.study.specification import Study

pytestmark = pytest.mark.slow

VARIANTS = (*drawing.VARIANTS, "hidden-sigmoid-mse")
# Largest difference of a probability from that of the float32 model. It is the promise; 1e-4 is what is found.
TOLERANCE = 1e-3
CANVAS = 420
# A drawn 1, as fractions of the canvas.
ONE = [(0.55, 0.15), (0.45, 0.85)]


@pytest.fixture(scope="module")
def study(tmp_path_factory, digits):
    """Return the shipped study on the digits with some trained variants, and its folder of results."""
    results = tmp_path_factory.mktemp("results")
    study = Study.read(ROOT / "config.yaml", {"dataset": "digits", "max_seeds": 1, "max_epochs": 10})
    for name in VARIANTS:
        (block,) = study.blocks_of(name)
        models, history, metrics, predictions = (results / file for file in block.files)
        models.parent.mkdir(parents=True)
        trained = call(
            *("train", "--data", digits / "train.h5", "--variant", name, "--seeds", "0-0"),
            *("--specification", study.variants[name].json, "--models", models, "--history", history),
        )
        assert trained.returncode == 0, trained.stderr
        evaluated = call(
            *("evaluate", "--models", models, "--data", digits / "test.h5"),
            *("--metrics", metrics, "--predictions", predictions),
        )
        assert evaluated.returncode == 0, evaluated.stderr
    return study, results


@pytest.fixture
def opened(browser, tmp_path):
    """Return a function that opens a part as a page; pages must ask nobody for anything and end without an error."""
    contexts, bad = [], []

    def show(part, **options):
        (tmp_path / "page.html").write_text(drawing.page(part, "Draw a digit"))
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options))
        contexts[-1].set_offline(True)
        page = contexts[-1].new_page()
        page.on("console", lambda message: bad.append(message.text))
        page.on("pageerror", lambda error: bad.append(str(error)))
        page.on("dialog", lambda dialog: bad.append(dialog.message))
        page.goto((tmp_path / "page.html").as_uri())
        page.on("request", lambda request: bad.append(request.url))
        return page

    yield show
    for context in contexts:
        context.close()
    assert not bad


@pytest.fixture(scope="module")
def net(browser):
    """Return an empty page in which the functions of the modules are global."""
    page = browser.new_page()
    names = "decoded, probabilities, centred, coarse"
    page.add_script_tag(type="module", content=f"{drawing.script()}\nObject.assign(window, {{ {names} }})")
    page.wait_for_function("() => Boolean(window.decoded)")
    yield page
    page.close()


def read_by_browser(net, model, images):
    """Return the outputs of an exported model for uint8 images (N, 28, 28)."""
    rows = net.evaluate(
        """([model, images]) => {
            const made = decoded(model);
            return images.map(image => [...probabilities(made, Float32Array.from(image, grey => grey / 255))]);
        }""",
        [model, images.reshape(len(images), -1).tolist()],
    )
    return np.array(rows)


def read_by_keras(model, loss, images):
    from mnist_hpc.training import models

    return models.predictor(model, loss)(images)[1].numpy()


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_browser_agrees_with_keras_over_the_stored_images(study, net, variant):
    from mnist_hpc.training import models

    folder = study[1] / study[0].blocks_of(variant)[0].folder
    with hdf5.reading(folder / "predictions.h5") as file:
        images, index = file["sample/images"][()], file["sample/index"][()]
        predicted = file["seed-0/probabilities"][()][index]
    found = read_by_browser(net, drawing.read_net(*study, variant).model, images)
    (loss,) = study[0].variants[variant].keys["loss"]
    assert len(images) == 100
    assert found == pytest.approx(read_by_keras(models.load(folder / "models.h5"), loss, images), abs=TOLERANCE)
    assert found == pytest.approx(predicted, abs=TOLERANCE)


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
        """([name, image, scale]) => {
            const rows = image.length * scale, at = i => Math.floor(i / scale);
            const values = Float32Array.from(
                { length: rows * rows }, (_, i) => image[at(Math.floor(i / rows))][at(i % rows)]);
            const made = window[name]({ rows, columns: rows, values });
            return made && [...made];
        }""",
        [function, image.tolist(), scale],
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


def stroke(page, points):
    box = page.locator(".drawing-canvas").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def verdicts(page):
    """Return what each net reads, once the page says so."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator(".drawing-verdict td").all_inner_texts()


def test_a_drawn_one_is_read(study, opened):
    page = opened(drawing.fragment(*study))
    assert page.locator("thead th").all_inner_texts() == list(drawing.VARIANTS)
    assert verdicts(page) == ["–"] * 3
    stroke(page, ONE)
    # cnn-fast had ten steps here: it reads too little to be asked.
    assert verdicts(page)[:2] == ["1", "1"]
    shares = np.array(page.locator(".drawing-class td").all_inner_texts(), float).reshape(10, 3)
    assert shares.sum(axis=0) == pytest.approx(100, abs=0.5)
    assert np.all(shares[1, :2] == shares[:, :2].max(axis=0))
    page.get_by_role("button", name="Clear").click()
    assert verdicts(page) == ["–"] * 3
    assert "".join(page.locator(".drawing-class td").all_inner_texts()) == ""


def test_a_finger_draws_and_does_not_scroll(study, opened):
    page = opened(drawing.fragment(*study), has_touch=True, viewport={"width": 360, "height": 640}, is_mobile=True)
    box = page.locator(".drawing-canvas").bounding_box()
    session = page.context.new_cdp_session(page)
    at = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in ONE]
    path = [{axis: at[0][axis] + (at[1][axis] - at[0][axis]) * k / 8 for axis in "xy"} for k in range(9)]
    for kind, points in [("touchStart", path[:1]), *(("touchMove", [point]) for point in path), ("touchEnd", [])]:
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert verdicts(page)[:2] == ["1", "1"]
    assert page.evaluate("[scrollX, scrollY]") == [0, 0]
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_stored_images_are_reached_by_keyboard_and_read_as_in_the_study(study, opened):
    page = opened(drawing.fragment(*study))
    page.keyboard.press("Tab")  # the results, which scroll on a narrow screen
    for name in ("Clear", "A test image", "A mistake"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    page.keyboard.press("Enter")
    nets = [drawing.read_net(*study, name) for name in drawing.VARIANTS]
    options = page.locator("option:checked").inner_text()
    index = int(options.partition("test image ")[2].partition(")")[0])
    assert "misread by" in options
    assert verdicts(page) == [str(net.predicted[index]) for net in nets]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    for _ in range(5):
        page.keyboard.press("ArrowDown")
        index = int(page.locator("option:checked").inner_text().partition("test image ")[2].partition(")")[0])
        assert verdicts(page) == [str(net.predicted[index]) for net in nets]


def test_every_stored_image_is_read_as_in_the_study(study, opened):
    page = opened(drawing.fragment(*study))
    nets = [drawing.read_net(*study, name) for name in drawing.VARIANTS]
    options = page.locator("option").all_inner_texts()[1:]
    assert 100 < len(options) <= 160
    for place, text in enumerate(options):
        index = int(text.partition("test image ")[2].partition(")")[0])
        assert text.strip().startswith(f"{nets[0].labels[index]} (")
        page.select_option("select", str(place))
        assert verdicts(page) == [str(net.predicted[index]) for net in nets]
        wrong = [net.name for net in nets if net.predicted[index] != net.labels[index]]
        assert "misread" not in text or text.endswith(f"misread by {', '.join(wrong)}")


def test_one_may_draw_over_a_stored_image(study, opened):
    page = opened(drawing.fragment(*study))
    page.select_option("select", "0")
    before = page.locator(".drawing-class td").all_inner_texts() if verdicts(page) else []
    stroke(page, [(0.1, 0.5), (0.9, 0.5)])
    verdicts(page)
    assert page.locator("select").input_value() == ""
    assert page.locator(".drawing-class td").all_inner_texts() != before


def test_the_template_that_fired_is_that_of_the_linear_model(study, opened):
    page = opened(drawing.fragment(*study))
    assert not page.locator(".drawing-template").is_visible()
    page.select_option("select", "0")
    digit = int(verdicts(page)[0])
    assert f"regression: the template of {digit} fired" in page.locator(".drawing-template").inner_text()
    pixels = page.evaluate(
        "[...document.querySelector('.drawing-template canvas').getContext('2d').getImageData(0, 0, 28, 28).data]"
    )
    alpha, blue = np.reshape(pixels, (28, 28, 4))[..., 3] / 255, np.reshape(pixels, (28, 28, 4))[..., 2]
    with hdf5.reading(study[1] / study[0].blocks_of("regression")[0].folder / "models.h5") as file:
        weights = file["seed-0/weights/02_dense/kernel"][:, digit].reshape(28, 28)
    assert alpha == pytest.approx(np.abs(weights) / np.abs(weights).max(), abs=0.01)
    clear = alpha > 0.1
    assert np.array_equal(blue[clear] > 100, weights[clear] > 0)


def test_a_screen_reader_hears_the_result_once_the_pen_rests(study, opened):
    page = opened(drawing.fragment(*study))
    page.evaluate(
        """() => {
            window.heard = [];
            const status = document.querySelector("[role=status]");
            new MutationObserver(() => heard.push(status.textContent)).observe(status, { childList: true });
        }"""
    )
    stroke(page, ONE)
    page.wait_for_function("() => heard.length")
    (heard,) = page.evaluate("heard")
    assert heard.startswith("regression: 1, ")
    assert heard.count(" %") == 3
    page.get_by_role("img", name="Your drawing").wait_for()
    assert page.get_by_role("table", name="Probability of each class, %").is_visible()
    assert page.get_by_role("region", name="Draw a digit").is_visible()


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "a'\"&amp;b"])
def test_names_are_text(study, opened, name):
    nets = [replace(drawing.read_net(*study, "regression"), name=name)]
    page = opened(drawing.rendered(nets, 10, [name], None))
    page.get_by_role("button", name="A mistake").click()
    assert verdicts(page) != ["–"]
    assert page.locator("thead th").inner_text() == name
    page.wait_for_function("() => document.querySelector('[role=status]').textContent")
    assert page.locator("[role=status]").text_content().startswith(name)
    assert page.locator("option:checked").inner_text().endswith(f"misread by {name}")
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("width", [360, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_any_screen_and_can_be_read(study, opened, width, scheme):
    page = opened(drawing.fragment(*study), viewport={"width": width, "height": 900}, color_scheme=scheme)
    stroke(page, ONE)
    verdicts(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate("getComputedStyle(document.querySelector('.drawing')).color")
    assert (sum(map(int, colours.removeprefix("rgb(").rstrip(")").split(","))) < 384) == (scheme == "light")


def test_without_the_default_variants_there_is_no_part(study, tmp_path):
    assert drawing.fragment(study[0], tmp_path) == ""
    circle = Study.read(ROOT / "config.yaml", {"dataset": "circle"})
    assert drawing.fragment(circle, study[1]) == ""


def test_variants_are_chosen_by_name_and_missing_ones_are_named(study, opened):
    page = opened(drawing.fragment(*study, ["hidden-sigmoid-mse", "cnn", "regression"]))
    assert page.locator("thead th").all_inner_texts() == ["hidden-sigmoid-mse", "regression"]
    assert "Not trained yet: cnn." in page.locator("#draw-how").inner_text()
    assert "hidden-sigmoid-mse are independent" in page.locator(".drawing-results").inner_text()
    for name in ("nonsense", "circle-3"):
        with pytest.raises(UserError, match=f"found the variant {name}, expected one on digits: regression, "):
            drawing.fragment(*study, [name])


def test_the_page_says_what_the_demo_is(study, opened):
    page = opened(drawing.fragment(*study))
    assert "the quality of the demo" in page.locator("#draw-how").inner_text()
    assert "1,257 images" in page.locator("#draw-how").inner_text()
