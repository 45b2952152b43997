"""The charts of the report: their marks, tooltips and selections."""

import re

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect
from report_page import (
    VARIANTS,
    centres,
    chart,
    choose,
    drawn,
    marks,
    on_a_line,
    opened,
    page,
    percent,
    project,
    results,
    signed,
    tables,
    tooltip,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("names", ["", "cnn", "wild"])
def test_every_chart_is_drawn_or_says_that_it_is_empty(page, names):
    choose(page, names)
    for figure in page.locator("[data-chart]").all():
        empty = figure.locator(".empty").is_visible()
        # What failed has no accuracy; its processes took time, and the sweeps are not about it.
        may = figure.get_attribute("data-chart") not in ("times", "sweep", "rungs", "searches")
        assert empty == (names == "wild" and may and figure.get_attribute("data-chart") != "curves")
        assert (figure.locator(".view:not([hidden]) .role-mark > *").count() == 0) == empty


def test_every_choice_of_every_chart_draws(page):
    for figure in page.locator("[data-chart]").all():
        for select in figure.locator("select").all():
            options = select.locator("option").evaluate_all("all => all.map(option => option.value)")
            for value in [*options, options[0]]:
                select.select_option(value)
                drawn(page)
                failed = figure.get_attribute("data-chart") == "confusions" and value == "wild"
                assert (figure.locator(".view:not([hidden]) .role-mark > *").count() == 0) == failed, value


def test_the_choices_of_charts_decide_what_they_show(page, tables):
    for relation in ("base", "best"):
        chart(page, "comparisons").locator("select").select_option(relation)
        drawn(page)
        rows = tables["comparisons"]
        expected = ((rows["relation"] == relation) & (rows["n"] > 0)).sum()
        expect(marks(page, "comparisons", "symbol")).to_have_count(int(expected))
    chart(page, "comparisons").locator("select").select_option("")
    for transform in ("shift", "rotation", "zoom", "noise"):
        chart(page, "robustness").locator("select").select_option(transform)
        drawn(page)
        expected = tables["robustness"]["transform"].isin([transform, "none"]).sum()
        expect(marks(page, "robustness", "symbol")).to_have_count(int(expected))
    chart(page, "robustness").locator("select").select_option("shift")
    chart(page, "cost").locator("select").select_option("parameters")
    choose(page, "circle-3")
    assert tooltip(page, marks(page, "cost", "symbol").first)["cost"] == "17"  # 2 × 3 + 3, and 3 × 2 + 2
    chart(page, "cost").locator("select").select_option("train_seconds_mean")
    chart(page, "confusions").locator("select").select_option(index=0)


def test_confusions_are_the_mean_counts_over_the_seeds(page, tables):
    chart(page, "confusions").locator("select").select_option("regression")
    drawn(page)
    rows = tables["confusions"][tables["confusions"]["variant"] == "regression"]
    mean = rows.groupby(["label", "predicted"])["images"].mean()
    expected = [f"{value:g}" if value else "·" for value in mean]  # of two seeds: whole numbers and halves
    texts = marks(page, "confusions", "text").all_text_contents()
    assert texts == expected


def test_charts_depend_on_what_is_chosen_alone(page):
    """Not on what was chosen before: best variants first, sweeps in the order of their values."""
    names = chart(page, "accuracy").locator(".role-axis-label text").filter(has_text=re.compile("[a-z]"))
    for chosen in (VARIANTS[::-1], VARIANTS[1:3], VARIANTS):
        choose(page, ",".join(chosen))
        expect(names).to_have_text([name for name in VARIANTS if name in chosen and name != "wild"])
    grid, labels = chart(page, "sweep"), chart(page, "sweep").locator(".role-axis-label text")
    for across, values in (
        ("learning_rate", ["0.1", "0.2", "0.5"]),
        ("batch_size", ["50", "100"]),
        ("steps", ["5", "10"]),
        ("learning_rate", ["0.1", "0.2", "0.5"]),
    ):
        grid.locator("select[name=across]").select_option(across)
        expect(grid.locator(".role-axis-title text").first).to_have_text(across)
        assert labels.all_text_contents()[: len(values)] == values


def history(results, variant):
    (path,) = (results / "runs" / variant).glob("*/history.csv")
    return pd.read_csv(path)


@pytest.mark.parametrize("variant", ["regression", "cnn"])
@pytest.mark.parametrize("value", ["validation_accuracy", "train_loss"])
def test_curves_end_at_the_mean_over_the_seeds(page, results, variant, value):
    choose(page, variant)
    chart(page, "curves").locator("select[name=value]").select_option(value)
    drawn(page)
    rows = history(results, variant)
    expect(marks(page, "curves", "symbol")).to_have_count(rows["step"].nunique())
    found = tooltip(page, marks(page, "curves", "symbol").last)
    last = rows[rows["step"] == rows["step"].max()]
    assert len(last) == 2
    assert [found["variant"], found["seed"], found["step"]] == [variant, "mean of 2", "20"]
    mean = last[value].mean()
    if value == "validation_accuracy":
        assert found["text"] == f"{percent(mean)} %"
    else:
        assert float(found["text"]) == pytest.approx(mean, rel=1e-3)
    chart(page, "curves").locator("select[name=value]").select_option("validation_accuracy")


def test_marks_stand_where_their_values_are(page, results, tables):
    rows = history(results, "cnn").groupby("step", as_index=False).mean(numeric_only=True)
    choose(page, "cnn")
    x, y = centres(marks(page, "curves", "symbol")).T
    assert on_a_line(x, rows["step"])
    assert on_a_line(y, np.log(1 - rows["validation_accuracy"]))  # the smallest errors on top
    choose(page, "")
    rows = tables["variants"].set_index("variant").loc[[name for name in VARIANTS if name != "wild"]]
    x, y = centres(marks(page, "accuracy", "rect")).T
    assert on_a_line(x, -np.log(1 - rows["test_accuracy_mean"]))
    assert on_a_line(y, range(4))  # best first
    x, y = centres(marks(page, "cost", "symbol")).T
    assert on_a_line(x, np.log(rows["train_seconds_mean"]))
    assert on_a_line(y, np.log(1 - rows["test_accuracy_mean"]))
    rows = tables["robustness"]
    choose(page, "regression")
    rows = rows[(rows["variant"] == "regression") & rows["transform"].isin(["none", "shift"])]
    x, y = centres(marks(page, "robustness", "symbol")).T
    assert on_a_line(x, rows["level"])
    assert on_a_line(y, np.log(1 - rows["test_accuracy_mean"]))


def test_tooltips_hold_the_numbers_of_the_tables(page, tables):
    choose(page, "regression-same-budget")
    row = tables["variants"].set_index("variant").loc["regression-same-budget"]
    low, high = (percent(row[f"test_accuracy_ci95_{side}"]) for side in ("low", "high"))
    expected = f"{percent(row['test_accuracy_mean'])} % (95 %: {low} to {high}), n = 2"
    assert tooltip(page, marks(page, "accuracy", "rect").first)["test"] == expected
    rows = tables["comparisons"]
    rows = rows[(rows["variant"] == "regression-same-budget") & (rows["relation"] == "base")]
    found = tooltip(page, marks(page, "comparisons", "symbol").first)
    assert found["against"] == rows["reference"].item() == "regression"
    assert found["difference"].startswith(f"{signed(rows['difference_mean'].item())} points (95 %: ")
    robust = tables["robustness"]
    robust = robust[(robust["variant"] == "regression-same-budget") & (robust["transform"] == "none")]
    found = tooltip(page, marks(page, "robustness", "symbol").first)
    assert found["test"] == f"{percent(robust['test_accuracy_mean'].item())} %"
    bins = tables["reliability"]
    bins = bins[bins["variant"] == "regression-same-budget"]
    pairs = {f"{percent(row.confidence)} %, {percent(row.accuracy)} %" for row in bins.itertuples()}
    found = tooltip(page, marks(page, "reliability", "symbol").first)
    assert found["confidence, accuracy"] in pairs
