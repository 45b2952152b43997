"""The HTML report of a study with every kind of figure, in a real browser without a network."""

import re
import shutil

import pytest
from studies import make

from conftest import copy_project
from mnist_hpc import figures
from mnist_hpc.study.specification import Study

pytestmark = pytest.mark.slow

STUDY = """
dataset: digits
seeds: 1
variants:
  regression:
    layers: [Flatten, {Dense: {units: 10, kernel_initializer: zeros}}]
    optimizer: {SGD: {learning_rate: 0.5}}
    batch_size: 100
    steps: 20
  regression-same-budget: {base: regression, from_sweep: rates}
  wild:
    base: regression
    layers: [Flatten, {Dense: {units: 8, activation: relu}}, {Dense: {units: 10}}]
    optimizer: {SGD: {learning_rate: 1.0e+9}}
  cnn:
    base: regression
    layers: [{Conv2D: {filters: 4, kernel_size: 3}}, Flatten, {Dense: {units: 10}}]
  circle-3:
    dataset: circle
    layers: [{Dense: {units: 3, activation: tanh}}, {Dense: {units: 2}}]
    optimizer: {Adam: {learning_rate: 0.03}}
    batch_size: 100
    steps: 20
sweeps:
  rates: {variant: regression, grid: {learning_rate: [0.1, 0.2, 0.5], steps: [5, 10]}, seeds: 1}
ensembles: {committee: [regression, cnn]}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a project with a finished study and its report, made as people make it."""
    root = copy_project(tmp_path_factory.mktemp("report") / "study", STUDY)
    printed = make(root, "run")
    assert printed.rstrip().endswith("Report: results/digits/report.html")
    assert "of 4 variants have results; by validation accuracy, highest first" in printed
    return root


def test_nothing_is_done_twice(project):
    before = (project / "results/digits/report.html").stat().st_mtime_ns
    assert "Nothing to be done" in make(project, "run")
    assert (project / "results/digits/report.html").stat().st_mtime_ns == before


@pytest.fixture
def page(browser, project):
    """Return the open report; it must ask nobody for anything and end without an error."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    context.set_offline(True)
    opened, bad = context.new_page(), []
    opened.on("console", lambda message: bad.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: bad.append(str(error)))
    opened.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else bad.append(request.url)
    )
    opened.goto((project / "results/digits/report.html").as_uri())
    yield opened
    context.close()
    assert not bad


def categories(page):
    """Return files by category and subcategory, as the report lists them."""
    return page.evaluate("categories")


def test_the_report_holds_every_figure_and_page_of_the_study(page, project):
    study = Study.read(project / "config.yaml")
    expected = {
        file for kind in figures.kinds(study, project / "results") for file in figures.files(study, kind).values()
    }
    assert set(figures.KINDS) - {"slurm"} == set(figures.kinds(study, project / "results"))
    expected |= set(figures.page_files(study).values())
    shown = [file for parts in categories(page).values() for files in parts.values() for file in files]
    assert sorted(shown) == sorted(f"results/{file}" for file in expected)
    assert all(re.search("<p>.{40}", page.evaluate("results")[file]["caption"], re.DOTALL) for file in shown)


def test_every_category_and_figure_is_reached_by_clicks(page, project):
    read = 0
    for category, parts in sorted(categories(page).items()):
        for part, files in parts.items():
            page.reload()
            page.get_by_text(category, exact=True).first.click()
            if len(parts) > 1:
                page.get_by_text(part, exact=True).first.click()
            eyes = page.locator("a[iconname=eye]")
            eyes.first.wait_for()
            assert eyes.count() == len(files)
            for place in range(len(files)):
                eyes.nth(place).click()
                shown = page.locator("iframe, img").last  # the first picture is Snakemake's logo
                shown.wait_for()
                if shown.evaluate("element => element.tagName") == "IFRAME":
                    assert len(shown.content_frame.locator("body").inner_text()) > 500
                    read += 1
                else:
                    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
    assert read == len(figures.page_files(Study.read(project / "config.yaml")))


@pytest.mark.parametrize("width", [1300, 360])
def test_the_pages_read_well_at_any_width(browser, project, width):
    for name, words in {
        "lecture": "here: ",
        "tables": "McNemar",
        "study": "learning_rate: 0.5",
    }.items():
        context = browser.new_context(viewport={"width": width, "height": 800})
        page = context.new_page()
        page.goto((project / f"results/digits/pages/{name}.html").as_uri())
        assert words in page.inner_text("body")
        assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        context.close()


def test_the_lecture_has_every_slide_and_numbers_of_this_study(project):
    text = (project / "results/digits/pages/lecture.html").read_text()
    slides = re.findall(r"<h2>(.*?)</h2>", text)
    assert slides[0] == "Inference, As A Matrix Operation"
    assert slides[-2:] == ["Intro Exercise", "Beyond"]
    assert "<strong>digits</strong>" in text
    assert re.search(r"here: <strong>\d\d\.\d\d % \(n = 1\)</strong>", text)
    assert "not in this study" in text
    assert re.search(r"[01] of 1 seeds reach 99 %\s+\(95 % interval of the share: \d+ to \d+ %\)", text)
    assert re.search(r"the difference: [+−]\d+\.\d\d points\s+\(no interval, n = 1\)", text)
    assert text.count("data:image/svg+xml") == 5


def test_an_unfinished_study_has_a_report_of_what_is_there(project, tmp_path):
    root = tmp_path / "study"
    shutil.copytree(project, root, symlinks=True)
    for path in (root / "results/digits/figures/digits").iterdir():
        path.unlink()
    printed = make(root, "report")
    assert "left out of the report because they do not exist: digits;" in printed
    text = (root / "results/digits/report.html").read_text()
    assert "figures/confusions/cnn.svg" in text
    assert "figures/digits/cnn.svg" not in text
    shutil.rmtree(root / "results/digits")
    assert "there are no figures and pages yet; make run" in make(root, "report", code=2)
