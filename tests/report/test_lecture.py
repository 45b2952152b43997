"""The lecture with the numbers of a study: for a code host, and as a section of the report."""

import re

import numpy as np
import pandas as pd
import pytest

from conftest import ROOT
from mnist_hpc.report import lecture
from mnist_hpc.study.specification import Study

FIRST, LAST = "Inference, As A Matrix Operation", ["Intro Exercise", "Beyond"]


def row(variant, **values):
    """Return a row of variants.csv; a variant that counts successes has them in ``values``."""
    counted = dict.fromkeys(("success", "successes", "trials", "success_ci95_low", "success_ci95_high"), np.nan)
    accuracy = {"n": 5, "test_accuracy_mean": 0.97, "test_accuracy_sd": 0.001}
    return {"variant": variant, "status": "ok", **accuracy, **counted, **values}


@pytest.fixture
def study():
    return Study.read(ROOT / "config.yaml", {"dataset": "digits"})


@pytest.fixture
def tables():
    """Return variants and comparisons of a study that has a few of the lecture's variants."""
    solved = {"success": 0.99, "successes": 38, "trials": 40, "success_ci95_low": 0.831, "success_ci95_high": 0.994}
    variants = [
        row("regression", test_accuracy_mean=0.91834, test_accuracy_sd=0.0015),
        row("hidden-relu", n=1, test_accuracy_mean=0.9776, test_accuracy_sd=np.nan),
        row("hidden-sigmoid", n=0, status="missing", test_accuracy_mean=np.nan),
        row("circle-3", **solved),
    ]
    difference = {"variant": "regression-no-bias", "relation": "base", "n": 1, "difference_mean": -0.0015}
    difference |= {"difference_ci95_low": np.nan, "difference_ci95_high": np.nan}
    return pd.DataFrame(variants), pd.DataFrame([difference])


def as_text(study, tables, place=lambda _kind, _subject: None):
    return " ".join(lecture.source(study, *tables, place).split())


def test_the_numbers_are_those_of_the_tables(study, tables):
    text = as_text(study, tables)
    assert "measured on **digits**" in text
    assert "with biases: 91.83 ± 0.15 % (n = 5); without: not in this study;" in text
    assert "the difference: −0.15 points (no interval, n = 1)" in text
    assert "rectified linear 97.76 % (n = 1)" in text
    assert "sigmoid no results yet (missing)" in text
    assert '"It takes at least 3": 38 of 40 seeds reach 99 % (95 % interval of the share: 83 to 99 %)' in text
    assert "the difference was not measured" in text


def test_only_where_the_data_are_not_those_of_the_lecture_it_says_so(study, tables):
    words = "The quotations are about MNIST"
    assert words in as_text(study, tables)
    assert words not in as_text(Study.read(ROOT / "config.yaml"), tables)


def test_the_report_has_all_slides_and_those_pictures_that_it_shows(study, tables, tmp_path):
    for name in ("activations", "templates/regression", "templates/regression-no-bias", "accuracy-time"):
        path = tmp_path / f"digits/figures/{name}.svg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("<svg/>")
    html = lecture.published(study, tmp_path, *tables)
    slides = re.findall(r"<h3>(.*?)</h3>", html)
    assert slides[0] == FIRST
    assert slides[-2:] == LAST
    assert "<strong>91.83 ± 0.15 % (n = 5)</strong>" in html
    # Accuracy against time is a chart of the report.
    assert re.findall(r'data-picture="(.*?)"', html) == ["activations", "templates/regression"]
    assert "src=" not in html
    ids = re.findall(r'id="(.*?)"', html)
    assert ids
    assert all(name.startswith("lecture-") for name in ids)  # none is that of a section of the report
