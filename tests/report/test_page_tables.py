"""The answers on top of the report, its tables, and the choice of variants that all of it follows."""

import json
import re
from itertools import pairwise

import pandas as pd
import pytest
from in_browser import reading
from playwright.sync_api import expect
from report_page import (
    VARIANTS,
    cells,
    chart,
    choose,
    copied,
    count,
    drawn,
    marks,
    opened,
    page,
    percent,
    project,
    results,
    signed,
    table,
    tables,
)

pytestmark = pytest.mark.slow


# A word to filter the rows of each table by, and which rows of its CSV file hold it.
TABLES = {
    "variants": ("FAILED", lambda rows: rows["status"] == "failed"),
    "runs": ("cnn 100", lambda rows: (rows["variant"] == "cnn") & (rows["batch_size"] == 100)),
    "comparisons": ("cnn", lambda rows: (rows["variant"] == "cnn") | (rows["reference"] == "cnn")),
    "ensembles": ("nothing like this", lambda rows: rows["members"] < 0),
    "sweeps": (
        "learning_rate=0.2",
        lambda rows: [json.loads(values)["learning_rate"] == 0.2 for values in rows["values"]],
    ),
    "classes": ("circle", lambda rows: rows["variant"] == "circle-3"),
    "calibration": ("wild", lambda rows: rows["variant"] == "wild"),
    "robustness": ("zoom", lambda rows: rows["transform"] == "zoom"),
}
NUMBER = re.compile(r"[+−-]?[\d,]+(\.\d+)?(e[+-]\d+)?")


# The overview


def test_the_five_questions_are_answered_at_once(page, tables):
    text = page.locator("#overview").inner_text()
    variants = tables["variants"].set_index("variant")
    best = variants[variants["dataset"] == "digits"].dropna(subset=["validation_accuracy_mean"])
    best = best.sort_values("validation_accuracy_mean", ascending=False)
    assert best.index.tolist() == VARIANTS[:3]
    rows = page.locator("#overview tbody tr").all_inner_texts()
    for (name, row), shown in zip(best.iterrows(), rows, strict=True):
        spread = f"{percent(row['test_accuracy_mean'])} ± {percent(row['test_accuracy_sd'])} %"
        words = shown.split("\t")
        assert [words[0], words[1], words[2], words[4]] == [
            *(name, percent(row["validation_accuracy_mean"]), spread, "2"),
        ]
    comparisons = tables["comparisons"][tables["comparisons"]["relation"] == "best"].set_index("variant")
    for name in best.index[1:]:
        row = comparisons.loc[name]
        low, high = row["difference_ci95_low"], row["difference_ci95_high"]
        verdict = "not shown" if low <= 0 <= high else "shown"
        interval = f"95 % interval {signed(low)} to {signed(high)}, n = 2"
        assert f"{name}: {signed(row['difference_mean'])} points ({interval}) – {verdict}" in text
    ensemble = tables["ensembles"].iloc[0]
    assert f"committee, 4 nets together: {percent(ensemble['test_accuracy'])} %" in text
    runs = tables["runs"].assign(work=tables["runs"][["process_seconds", "train_seconds"]].max(axis=1))
    once = runs.drop_duplicates(["variant", "compile_seconds"])  # of each job: start-up and compiling
    seconds = runs["work"].sum() + once[["startup_seconds", "compile_seconds"]].sum().sum()
    written = re.search(r"(?:(\d+) min )?([\d.]+) s of processes for 9 trainings", text)
    assert 60 * int(written[1] or 0) + float(written[2]) == pytest.approx(seconds, abs=1 if seconds >= 10 else 0.1)
    assert "1 failed (diverged: the loss grew beyond all bounds): wild (1)" in text
    assert "9 of 9 trainings done, 2 sweeps;" in text
    assert "digits: 1,257 training examples, 28 × 28 × 1, 10 classes" in text
    assert "5, of 1 or 2 seeds each" in text
    assert "max_seeds: 2" in text
    assert "regression-same-budget (12 points), halved (12 points, halved)" in text
    assert tables["runs"]["device"][0] in text


def test_every_section_is_there_and_reached_from_the_top(page):
    links = page.locator("nav li a").all()
    assert len(links) == 12
    for link in links:
        link.click()
        drawn(page)
        section = page.locator(link.get_attribute("href"))
        assert 0 <= section.bounding_box()["y"] < 400
        assert len(section.inner_text()) > 150


def test_the_lecture_has_pictures_of_this_study_and_links_to_its_charts(page, tables):
    lecture = page.locator("#lecture")
    row = tables["variants"].set_index("variant").loc["regression"]
    spread = f"{percent(row['test_accuracy_mean'])} ± {percent(row['test_accuracy_sd'])} % (n = 2)"
    assert f"on MNIST; here: {spread}" in lecture.inner_text()
    assert lecture.locator("img:visible").count() >= 3
    link = lecture.get_by_role("link", name="Validation loss in the sweep")
    link.click()
    drawn(page)
    assert 0 <= page.locator("#sweeps").bounding_box()["y"] < 400


# Tables


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_filtered_and_copied_with_all_columns(page, tables, name):
    word, of = TABLES[name]
    expected, place = tables[name], table(page, name)
    assert count(page, name) == len(expected)
    search = place.get_by_placeholder("words")
    search.fill(word)
    kept = expected[of(expected)]
    assert count(page, name) == len(kept)
    assert len(cells(page, name)) == min(len(kept), 12)
    few = copied(page, name)
    same(few, kept)
    search.fill("")
    place.get_by_label("all columns").check()
    found = copied(page, name)
    assert set(few) < set(found.columns) == set(expected.columns)
    same(found, expected)
    head, (first, *_) = place.locator("thead th").all_inner_texts(), cells(page, name)
    assert len(head) == len(first) == len(expected.columns)
    place.get_by_label("all columns").uncheck()
    assert place.locator("thead th").count() == len(few.columns)


def same(found, expected):
    """Check that copied rows are those of a file, in any order, and in their columns."""
    expected = expected[found.columns]
    both = [rows.sort_values([*rows.columns]).reset_index(drop=True) for rows in (found, expected)]
    pd.testing.assert_frame_equal(*both, check_dtype=False, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["variants", "sweeps", "classes", "times"])
def test_every_column_sorts_its_rows(page, name):
    place = table(page, name)
    if (every := place.get_by_role("button", name="Show all")).is_visible():
        every.click()
    assert len(cells(page, name)) == count(page, name)
    for column, title in enumerate(place.locator("thead th").all_inner_texts()):
        before = [row[column] for row in cells(page, name)]
        numbers = all(NUMBER.fullmatch(text) for text in before if text)
        for click in range(2):
            head = place.locator("thead th").nth(column)
            head.get_by_role("button").click()
            direction = head.get_attribute("aria-sort")
            texts = [row[column] for row in cells(page, name)]
            assert sorted(texts) == sorted(before), title
            filled = [text for text in texts if text]
            assert texts == [*filled, *[""] * (len(texts) - len(filled))], title
            values = [float(text.replace(",", "").replace("−", "-")) for text in filled] if numbers else filled
            if filled:
                assert direction == ("ascending" if (click == 1) == numbers else "descending"), title
            up = all(a <= b for a, b in pairwise(values))
            down = all(a >= b for a, b in pairwise(values))
            assert up if direction == "ascending" else down, title
    assert place.locator("[aria-sort=none]").count() == place.locator("thead th").count() - 1


def test_numbers_of_a_table_are_those_of_the_file(page, tables):
    rows = {row[0]: row for row in cells(page, "variants")}
    for row in tables["variants"].itertuples():
        shown = rows[row.variant]
        assert shown[1:3] == [row.status, str(row.n)]
        assert shown[8 + 1] == f"{row.parameters:,}"
        if row.n:
            assert shown[3:6] == [
                percent(value) for value in (row.validation_accuracy_mean, row.test_accuracy_mean, row.test_accuracy_sd)
            ]
            assert float(shown[8]) == pytest.approx(row.test_loss_mean, rel=1e-3)
            assert float(shown[10]) == pytest.approx(row.train_seconds_mean, rel=1e-3)
    times = {row[0]: row for row in cells(page, "times")}
    for name, seconds in tables["runs"].groupby("variant")["train_seconds"].sum().items():
        assert float(times[name][3]) == pytest.approx(seconds, rel=1e-3)


# The choice of variants


def follows(page, tables, names):
    """Check that all of the page is about these variants; ``names`` are in the order of the page."""
    runs = tables["runs"][tables["runs"]["variant"].isin(names)]
    for name, rows in tables.items():
        if name in TABLES and "variant" in rows and name != "sweeps":
            assert count(page, name) == rows["variant"].isin(names).sum(), name
            assert {row[0] for row in cells(page, name)} <= set(names)
    assert count(page, "sweeps") == len(tables["sweeps"])
    with_results = runs[runs["status"] == "ok"]["variant"].nunique()
    expect(marks(page, "accuracy", "symbol")).to_have_count(int((runs["status"] == "ok").sum()))
    expect(marks(page, "cost", "symbol")).to_have_count(with_results)
    compared = tables["comparisons"][tables["comparisons"]["variant"].isin(names)]
    expect(marks(page, "comparisons", "symbol")).to_have_count(int((compared["n"] > 0).sum()))
    reliable = tables["reliability"][tables["reliability"]["variant"].isin(names)]
    expect(marks(page, "reliability", "symbol")).to_have_count(len(reliable))
    robust = tables["robustness"][tables["robustness"]["variant"].isin(names)]
    expect(marks(page, "robustness", "symbol")).to_have_count(int(robust["transform"].isin(["shift", "none"]).sum()))
    expect(marks(page, "times", "rect")).to_have_count(4 * len(names))
    assert chart(page, "times").locator(".role-axis-label text").all_text_contents()[-len(names) :]
    options = [option for option in names if option in ("cnn", "regression", "regression-same-budget", "wild")]
    assert page.locator("#gallery select[name=variant] option").all_inner_texts() == options
    listed = page.locator("#provenance details[data-variant]:not([hidden]) summary").all_inner_texts()
    assert listed == names
    shown = page.locator("#inside figure:not([hidden]) img").evaluate_all("all => all.map(image => image.alt)")
    assert {text.partition(": ")[2] for text in shown} == set(names) - {"wild"}
    boxes = page.locator("#chooser li input").evaluate_all(
        "all => all.filter(box => box.checked).map(box => box.value)"
    )
    assert boxes == ([] if names == VARIANTS else names)


def test_all_variants_are_shown_at_first(page, tables):
    follows(page, tables, VARIANTS)
    assert page.locator("#chooser summary").inner_text() == "Variants: all 5"


def test_variants_are_chosen_with_the_mouse(page, tables):
    chooser = page.locator("#chooser")
    summary, search = chooser.locator("summary"), chooser.get_by_placeholder("find variants")
    summary.click()
    chooser.get_by_label("circle-3 (circle)").check()
    chooser.get_by_label("cnn", exact=True).check()
    drawn(page)
    assert summary.inner_text() == "Variants: 2 of 5"
    assert page.url.endswith("variant=cnn,circle-3")
    follows(page, tables, ["cnn", "circle-3"])
    chooser.get_by_label("cnn", exact=True).uncheck()
    drawn(page)
    assert summary.inner_text() == "Variants: circle-3"
    follows(page, tables, ["circle-3"])
    search.fill("REGR")
    assert [text.strip() for text in chooser.locator("li:visible").all_inner_texts()] == VARIANTS[1:3]
    chooser.get_by_role("button", name="Those listed").click()
    drawn(page)
    follows(page, tables, VARIANTS[1:3])
    search.fill("")
    chooser.get_by_role("button", name="Best 6").click()
    drawn(page)
    assert summary.inner_text() == "Variants: 5 of 5"
    chooser.get_by_role("button", name="All", exact=True).click()
    drawn(page)
    follows(page, tables, VARIANTS)
    assert "variant=" not in page.url
    page.locator("h1").click()
    assert not search.is_visible()


def test_a_name_in_a_table_is_a_link_to_that_variant_alone(page, tables):
    table(page, "variants").get_by_role("link", name="wild").click()
    drawn(page)
    assert page.url.endswith("#variant=wild")
    follows(page, tables, ["wild"])
    assert chart(page, "accuracy").get_by_text("Nothing to show for the chosen variants yet.").is_visible()
    choose(page, "")
    table(page, "comparisons").get_by_role("link", name="cnn", exact=True).first.click()
    drawn(page)
    follows(page, tables, ["cnn"])
    page.locator("nav").get_by_role("link", name="Costs").click()
    drawn(page)
    assert page.url.endswith("#costs&variant=cnn")
    follows(page, tables, ["cnn"])


def test_a_choice_is_reopened_from_its_address(browser, results, tables):
    with reading(browser, results / "report.html", "#curves&variant=regression,nonsense,cnn") as (page, _):
        follows(page, tables, ["cnn", "regression"])
        assert page.get_by_text("This study has no variant nonsense.").is_visible()
        assert page.url.endswith("#curves&variant=cnn,regression")
        page.wait_for_function("Math.abs(document.getElementById('curves').getBoundingClientRect().top) < 120")
        address = page.url.partition("report.html")[2]
    with reading(browser, results / "report.html", address.replace(",", "%2C")) as (page, _):
        follows(page, tables, ["cnn", "regression"])
        assert not page.locator("#chooser .problem").is_visible()
        choose(page, "wild,cn%")  # cut off
        follows(page, tables, ["wild"])
        assert page.get_by_text("This study has no variant cn%.").is_visible()
