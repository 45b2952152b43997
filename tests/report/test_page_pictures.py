"""Small nets on the plane, moment by moment, and the gallery of misclassified images."""

import json

import numpy as np
import pandas as pd
import pytest
from in_browser import reading
from report_page import opened, page, project, results

from mnist_hpc.files import hdf5

pytestmark = pytest.mark.slow


LAYERS = ("01_dense", "02_dense")  # of the net on the circle


def test_planes_show_the_nets_at_every_snapshot(page, project):
    place = page.locator("#planes")
    (folder,) = (project / "results/circle/runs/circle-3").iterdir()
    with hdf5.reading(project / "results/circle/data/train.h5") as file:
        points, labels = file["train/features"][:300], file["train/labels"][:300]
    slider = place.get_by_label("moment of the training")
    with hdf5.reading(folder / "models.h5") as file:
        last = len(file["seed-0/snapshots/steps"]) - 1
        assert slider.input_value() == slider.get_attribute("max") == str(last)
        for moment in (0, 2, last):
            slider.fill(str(moment))
            step = file["seed-0/snapshots/steps"][moment]
            assert place.locator("output").inner_text() == f"step {step} of 20"
            expected = []
            for seed in (0, 1):
                weights = file[f"seed-{seed}/snapshots"]
                hidden, output = ([weights[f"{name}/{part}"][moment] for part in ("kernel", "bias")] for name in LAYERS)
                read = (np.tanh(points @ hidden[0] + hidden[1]) @ output[0] + output[1]).argmax(axis=1)
                expected.append(f"seed {seed}: {100 * (read == labels).mean():.0f} % of these points right")
            assert place.locator("figcaption").all_inner_texts() == expected
    place.locator("output").evaluate(
        """output => {
            window.shown = [];
            new MutationObserver(() => shown.push(output.textContent)).observe(output, { childList: true });
        }"""
    )
    place.get_by_role("button", name="Play").click()
    place.get_by_role("button", name="Pause").wait_for()
    place.get_by_role("button", name="Play").wait_for()
    with hdf5.reading(folder / "models.h5") as file:
        assert page.evaluate("shown") == [f"step {step} of 20" for step in file["seed-0/snapshots/steps"]]


@pytest.fixture(scope="module")
def mistakes(results):
    """Return the test images that the seeds of the cnn together misclassify, the most confident first."""
    with hdf5.reading(next((results / "runs/cnn").glob("*/predictions.h5"))) as file:
        labels = file["labels"][()]
        each = np.array([file[f"seed-{seed}/probabilities"][()] for seed in (0, 1)])
        images = dict(zip(file["examples/index"][()].tolist(), file["examples/images"][()], strict=True))
    mean = each.mean(axis=0)
    found = pd.DataFrame({"label": labels, "read": mean.argmax(axis=1), "confidence": mean.max(axis=1)})
    found["by"] = (each.argmax(axis=2) != labels).sum(axis=0)
    found = found[found["read"] != found["label"]].sort_values("confidence", ascending=False)
    return found.assign(image=[images[index] for index in found.index])


def captions(page):
    return page.locator("#gallery li").evaluate_all(
        "all => all.map(item => item.querySelector('.tile').ariaLabel.split(':')[1])"
    )


def expected_captions(rows):
    return [
        f" class {row.label}, read as {row.read} with {100 * row.confidence:.0f} %, by {row.by} of 2 seeds"
        for row in rows.itertuples()
    ]


def test_the_gallery_shows_what_the_seeds_misclassify_together(page, mistakes):
    control = {name: page.locator(f"#gallery [name={name}]") for name in ("label", "predicted", "confidence", "errors")}
    status = page.locator("#gallery output")
    page.locator("#gallery [name=variant]").select_option("cnn")
    assert 10 < len(mistakes) < 60
    assert (
        status.inner_text()
        == f"{len(mistakes)} images of {len(mistakes)} that the 2 seeds of cnn misclassify together."
    )
    assert captions(page) == expected_captions(mistakes)
    label, read = (str(mistakes[name].mode()[0]) for name in ("label", "read"))
    control["label"].select_option(label)
    assert captions(page) == expected_captions(mistakes[mistakes["label"] == int(label)])
    control["label"].select_option("")
    control["predicted"].select_option(read)
    kept = mistakes[mistakes["read"] == int(read)]
    assert captions(page) == expected_captions(kept)
    assert status.inner_text().startswith(f"{len(kept)} images of {len(mistakes)} ")
    control["predicted"].select_option("")
    control["confidence"].fill("60")
    assert captions(page) == expected_captions(mistakes[mistakes["confidence"] >= 0.6])
    assert page.locator("#gallery .least").inner_text() == "60 %"
    control["confidence"].fill("0")
    control["errors"].check()
    assert captions(page) == []  # nobody has looked for label errors among these digits
    control["errors"].uncheck()
    page.locator("#gallery [name=variant]").select_option("wild")
    assert status.inner_text() == "wild has no results."
    page.locator("#gallery [name=variant]").select_option("cnn")


def test_known_label_errors_are_framed_and_listed_alone(browser, results, mistakes, tmp_path):
    text, index = (results / "report.html").read_text(), int(mistakes.index[3])
    nobody, somebody = '"label_errors": {"digits": {}}', {"digits": {index: int(mistakes["label"].iloc[3])}}
    assert text.count(nobody) == 1
    (tmp_path / "report.html").write_text(text.replace(nobody, f'"label_errors": {json.dumps(somebody)}'))
    with reading(browser, tmp_path / "report.html") as (page, _):
        assert (
            page.locator("#gallery output")
            .inner_text()
            .endswith(f"; 1 of these {len(mistakes)} are known label errors.")
        )
        assert page.locator("#gallery .label-error").count() == 1
        page.get_by_label("known label errors only").check()
        assert page.locator("#gallery .tile").evaluate("tile => tile.ariaLabel").endswith("; a known label error")


def test_a_mistake_is_put_on_the_canvas(page, mistakes):
    page.locator("#gallery [name=variant]").select_option("cnn")
    for place in (0, len(mistakes) - 1):
        page.locator("#gallery li").nth(place).get_by_role("button").click()
        index, label = mistakes.index[place], mistakes["label"].iloc[place]
        page.get_by_text(f"On the canvas: {label} (test image {index})").wait_for()
        seen = page.locator(".drawing-seen canvas").evaluate(
            "canvas => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data]"
        )
        assert np.array_equal(np.reshape(seen, (28, 28, 4))[..., 3], mistakes["image"].iloc[place])
        box = page.locator(".drawing-canvas").bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= page.viewport_size["height"]
