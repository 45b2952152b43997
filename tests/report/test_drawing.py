"""The section "Draw a digit" in a real browser without a network: against Keras, and as a reader uses it."""

import os
from dataclasses import replace

import numpy as np
import pytest
from in_browser import TOLERANCE, loaded, read_by_browser, read_by_keras, trained

from conftest import ROOT, call, made_once
from mnist_hpc.files import hdf5
from mnist_hpc.report import contents, drawing
from mnist_hpc.study.specification import Study

pytestmark = pytest.mark.slow

# Those that the shipped study draws with, and one whose outputs are not softmax.
DRAWN = ["regression", "hidden-relu", "cnn-fast"]
VARIANTS = (*DRAWN, "hidden-sigmoid-mse")
EVERY = {(name, 0) for name in VARIANTS}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Draw a digit</title>
<style>:root {{ color-scheme: light dark }} body {{ margin: 1em; font: 16px sans-serif }}</style>
</head><body>{}</body></html>"""
# Drawn digits, as fractions of the canvas.
ONE = [(0.55, 0.15), (0.45, 0.85)]
ZERO = [(0.5 + 0.22 * np.sin(turn), 0.5 - 0.33 * np.cos(turn)) for turn in np.linspace(0, 6.3, 30)]
SEVEN = [(0.28, 0.2), (0.72, 0.22), (0.45, 0.85)]


@pytest.fixture(scope="module")
def study(tmp_path_factory, digits):
    """Return the shipped study on the digits with some trained variants, and its folder of results."""
    changes = {"dataset": "digits", "max_epochs": 10}

    def build(folder):
        trained(folder, digits, variants=VARIANTS, **changes)

    return Study.read(ROOT / "config.yaml", changes | {"max_seeds": 1}), made_once(tmp_path_factory, "drawn", build)


@pytest.fixture(scope="module")
def lecture(tmp_path_factory):
    """Return the shipped study on MNIST with the variants that draw, one epoch each, and its folder of results."""
    if "MNIST_DIR" not in os.environ:
        pytest.skip("MNIST_DIR does not name a folder with MNIST")
    results, study = tmp_path_factory.mktemp("results"), Study.read(ROOT / "config.yaml")
    entry = ("--dataset", "mnist", "--entry", study.entry("mnist"), "--folder", results / "mnist/data")
    for command in (("fetch", *entry), ("convert", *entry, "--source", study.source("mnist"))):
        done = call(*command)
        assert done.returncode == 0, done.stderr
    return trained(results, results / "mnist/data", "mnist", DRAWN, max_epochs=1), results


@pytest.fixture
def opened(browser, tmp_path):
    """Return a function that opens a section as a page; pages must ask nobody for anything and end without an error."""
    contexts, bad = [], []

    def show(section, **options):
        (tmp_path / "page.html").write_text(PAGE.format(section))
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


def differences(net, study, results, variant):
    """Return by how much the browser's probabilities of the stored images differ from Keras' and from the study's."""
    from mnist_hpc.training import models

    folder = results / study.blocks_of(variant)[0].folder
    with hdf5.reading(folder / "predictions.h5") as file:
        images, index = file["sample/images"][()], file["sample/index"][()]
        predicted = file["seed-0/probabilities"][()][index]
    found = read_by_browser(net, drawing.read_net(study, results, variant, EVERY).model, images)
    (loss,) = study.variants[variant].keys["loss"]
    keras = read_by_keras(models.load(folder / "models.h5"), loss, images)
    assert len(images) == 100
    return [np.abs(found - expected).max() for expected in (keras, predicted)]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_browser_agrees_with_keras_over_the_stored_images(study, browser, variant):
    net = loaded(browser)
    assert max(differences(net, *study, variant)) < TOLERANCE
    net.close()


@pytest.mark.campaign
@pytest.mark.usefixtures("tensorflow")
def test_nets_of_mnist_agree_and_read_what_is_drawn(lecture, browser, opened):
    net = loaded(browser)
    assert max(value for name in DRAWN for value in differences(net, *lecture, name)) < TOLERANCE
    net.close()
    page = opened(drawing.fragment(*lecture, EVERY))
    assert "demo" not in page.locator("#draw-how").inner_text()
    for digit, points in {"1": ONE, "0": ZERO, "7": SEVEN}.items():
        page.get_by_role("button", name="Clear").click()
        stroke(page, points)
        assert verdicts(page) == [digit] * 3


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
    page = opened(drawing.fragment(*study, EVERY))
    assert page.locator("thead th").all_inner_texts() == DRAWN
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
    page = opened(
        drawing.fragment(*study, EVERY), has_touch=True, viewport={"width": 360, "height": 640}, is_mobile=True
    )
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
    page = opened(drawing.fragment(*study, EVERY))
    page.keyboard.press("Tab")  # the results, which scroll on a narrow screen
    for name in ("Clear", "A test image", "A mistake"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    page.keyboard.press("Enter")
    nets = [drawing.read_net(*study, name, EVERY) for name in DRAWN]
    options = page.locator("option:checked").inner_text()
    index = int(options.partition("test image ")[2].partition(")")[0])
    assert "misread by" in options
    assert page.locator(".drawing-about").inner_text() == f"On the canvas: {options}"
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
    page = opened(drawing.fragment(*study, EVERY))
    nets = [drawing.read_net(*study, name, EVERY) for name in DRAWN]
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
    page = opened(drawing.fragment(*study, EVERY))
    page.select_option("select", "0")
    before = page.locator(".drawing-class td").all_inner_texts() if verdicts(page) else []
    stroke(page, [(0.1, 0.5), (0.9, 0.5)])
    verdicts(page)
    assert page.locator("select").input_value() == ""
    assert page.locator(".drawing-class td").all_inner_texts() != before


def test_the_template_that_fired_is_that_of_the_linear_model(study, opened):
    page = opened(drawing.fragment(*study, EVERY))
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
    page = opened(drawing.fragment(*study, EVERY))
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
    nets = [replace(drawing.read_net(*study, "regression", EVERY), name=name)]
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
    page = opened(drawing.fragment(*study, EVERY), viewport={"width": width, "height": 900}, color_scheme=scheme)
    stroke(page, ONE)
    verdicts(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(
        "(table => table.scrollWidth <= table.clientWidth)(document.querySelector('.drawing-results'))"
    )
    colours = page.evaluate("getComputedStyle(document.querySelector('.drawing')).color")
    assert (sum(map(int, colours.removeprefix("rgb(").rstrip(")").split(","))) < 384) == (scheme == "light")


def drawn_by(study, names, dataset="digits"):
    """Return the study with other variants that draw."""
    return Study.read(ROOT / "config.yaml", {"dataset": dataset, "draw": names, "max_seeds": 1}), study[1]


def test_without_a_net_for_images_there_is_no_section(study, tmp_path):
    assert drawing.fragment(study[0], tmp_path, EVERY) == ""
    assert drawing.fragment(*drawn_by(study, []), EVERY) == ""
    assert drawing.fragment(*drawn_by(study, DRAWN, dataset="circle"), EVERY) == ""


def test_the_config_chooses_the_nets_and_missing_ones_are_named(study, opened):
    page = opened(drawing.fragment(*drawn_by(study, ["hidden-sigmoid-mse", "cnn", "regression"]), EVERY))
    assert page.locator("thead th").all_inner_texts() == ["hidden-sigmoid-mse", "regression"]
    assert "Without current results: cnn." in page.locator("#draw-how").inner_text()
    assert "hidden-sigmoid-mse are independent" in page.locator(".drawing-results").inner_text()


def test_a_net_that_is_stale_does_not_read(study, opened):
    page = opened(drawing.fragment(*study, EVERY - {("hidden-relu", 0)}))
    assert page.locator("thead th").all_inner_texts() == ["regression", "cnn-fast"]
    assert "Without current results: hidden-relu." in page.locator("#draw-how").inner_text()


@pytest.mark.campaign
def test_the_gallery_knows_label_errors_although_variants_have_no_results(lecture):
    study, results = lecture
    found = contents.gallery(study, results, {(name, 0) for name in DRAWN})
    assert len(found["label_errors"]["mnist"]) == 15
    assert found["seeds"]["cnn-fast"] == 1
    assert found["seeds"]["cnn"] == 0


def test_the_page_says_what_the_demo_is(study, opened):
    page = opened(drawing.fragment(*study, EVERY))
    assert "the quality of the demo" in page.locator("#draw-how").inner_text()
    assert "1,257 images" in page.locator("#draw-how").inner_text()
