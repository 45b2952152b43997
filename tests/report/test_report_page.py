"""The report of a study with every kind of section, in a real browser without a network, as a reader explores it.

What it must say comes from the files of the study: its CSV tables, learning curves, sweep and predictions.
"""

import io
import json
import re
from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from in_browser import reading, wide_study
from playwright.sync_api import expect

from mnist_hpc.files import hdf5

pytestmark = pytest.mark.slow

VARIANTS = ["cnn", "regression", "regression-same-budget", "wild", "circle-3"]
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
LAYERS = ("01_dense", "02_dense")  # of the net on the circle
NUMBER = re.compile(r"[+−-]?[\d,]+(\.\d+)?(e[+-]\d+)?")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return wide_study(tmp_path_factory, tmp_path_factory.mktemp("report") / "study")


@pytest.fixture(scope="module")
def results(project):
    return project / "results/digits"


@pytest.fixture(scope="module")
def tables(results):
    """Return the CSV files; of sweeps the one that the page shows first, with a column for each value of a point."""
    found = {path.stem: pd.read_csv(path) for path in (results / "tables").glob("*.csv")}
    first = found["sweeps"][found["sweeps"]["sweep"] == "regression-same-budget"]
    return found | {"sweeps": first.drop(columns="steps").join(pd.DataFrame(first["values"].map(json.loads).tolist()))}


@pytest.fixture(scope="module")
def opened(browser, results):
    with reading(browser, results / "report.html") as (page, bad):
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        yield page, bad


@pytest.fixture
def page(opened):
    """Return the open page with all variants chosen; nothing may have gone wrong when a test ends."""
    page, bad = opened
    yield page
    assert not bad
    choose(page, "")


def choose(page, names):
    """Choose variants by the address, as a link does."""
    page.evaluate("names => { location.hash = `#variant=${names}` }", names)
    drawn(page)


def drawn(page):
    """Wait until the page has taken notice of what happened, and has drawn its charts."""
    page.evaluate(
        "() => new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done))))"
    )


def table(page, name):
    return page.locator(f"[data-table={name}]")


def cells(page, name):
    """Return the texts of a table, row by row."""
    return (
        table(page, name)
        .locator("tbody")
        .evaluate("body => [...body.rows].map(row => [...row.cells].map(cell => cell.textContent))")
    )


def count(page, name):
    """Return how many rows a table says that it shows."""
    return int(re.match(r"(\d+) of \d+ rows", table(page, name).locator("output").inner_text())[1])


def copied(page, name):
    """Return the rows that the button of a table puts on the clipboard."""
    table(page, name).get_by_role("button", name="Copy as CSV").click()
    table(page, name).get_by_text("Copied").wait_for()
    return pd.read_csv(io.StringIO(page.evaluate("navigator.clipboard.readText()")))


def chart(page, name):
    return page.locator(f"[data-chart={name}]")


def marks(page, name, kind):
    """Return the marks of a kind in a chart, such as its symbols; none if it says that it has nothing to show."""
    return chart(page, name).locator(f".view:not([hidden]) .mark-{kind}.role-mark > *")


def tooltip(page, mark):
    """Return what a tooltip says, by keyword, once the mouse is over a mark."""
    page.mouse.move(0, 0)
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    page.locator("#vg-tooltip-element.visible").wait_for()
    rows = page.locator("#vg-tooltip-element tr").all()
    return {row.locator(".key").inner_text(): row.locator(".value").inner_text() for row in rows}


def percent(share):
    return f"{100 * share:.2f}"


def signed(difference):
    return f"{100 * difference:+.2f}".replace("-", "−")


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
    assert f"the 4 nets of committee reach {percent(ensemble['test_accuracy'])} %" in text
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


# Charts


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


def centres(found):
    """Return the middles of marks on the screen, (n, 2)."""
    boxes = found.evaluate_all("all => all.map(mark => Object.values(mark.getBoundingClientRect().toJSON()))")
    left, top, width, height = np.array(boxes).T[:4]
    return np.column_stack([left + width / 2, top + height / 2])


def on_a_line(pixels, values):
    """Return whether positions on the screen grow linearly with values."""
    slope, start = np.polyfit(values, pixels, 1)
    return slope > 0 and np.abs(slope * np.array(values) + start - pixels).max() < 1


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


def test_the_heat_map_is_the_grid_for_any_two_of_its_axes(page, results):
    points = pd.read_csv(results / "sweeps/regression-same-budget/points.csv")
    best = json.loads((results / "sweeps/regression-same-budget/best.json").read_text())["values"]
    places = {name: chart(page, "sweep").locator(f"select[name={name}]") for name in ("across", "down")}
    for across, down in permutations(best, 2):
        places["across"].select_option(across)
        places["down"].select_option(down)
        drawn(page)
        expected = points.groupby([across, down])["validation_loss"].min()
        labels = marks(page, "sweep", "rect").evaluate_all("all => all.map(cell => cell.ariaLabel)")
        assert len(labels) == len(expected)
        for label in labels:
            facts = dict(part.split(": ") for part in label.split("; "))
            value = expected[float(facts["across"]), float(facts["down"])]
            assert float(facts["mean"]) == pytest.approx(value, rel=1e-3)
            assert int(facts["of points"]) == 12 // len(expected)
        (circle,) = marks(page, "sweep", "symbol").evaluate_all("all => all.map(mark => mark.ariaLabel)")
        assert circle == f"across: {best[across]}; down: {best[down]}"
    places["down"].select_option("")
    drawn(page)
    expect(marks(page, "sweep", "rect")).to_have_count(points[places["across"].input_value()].nunique())


@pytest.fixture
def halved(page):
    """Choose the sweep over a space that was halved, and another one after the test."""
    choice = chart(page, "sweep").locator("select[name=sweep]")
    choice.select_option("halved")
    drawn(page)
    yield page
    choice.select_option("regression-same-budget")
    drawn(page)


@pytest.fixture(scope="module")
def rungs(results):
    """Return the points of the halved sweep in each rung, in the order in which they were trained."""
    points = pd.read_csv(results / "sweeps/halved/points.csv")
    assert set(points["status"]) == {"ok"}
    points["seen"] = points["steps"] * points["batch_size"]
    numbers = points.groupby(["rung", "point"])[["learning_rate", "batch_size", "validation_loss", "seen"]].mean()
    return numbers.join(points.groupby(["rung", "point"])["images"].sum()).reset_index()


@pytest.fixture(scope="module")
def choice(results):
    return json.loads((results / "sweeps/halved/best.json").read_text())


def test_points_of_a_space_stand_where_their_values_are(halved, rungs, choice):
    points = rungs.groupby("point").last()
    ranked = points.sort_values(["rung", "validation_loss"], ascending=[False, True])
    places = {name: chart(halved, "sweep").locator(f"select[name={name}]") for name in ("across", "down")}
    scaled = {"learning_rate": np.log(ranked["learning_rate"]), "batch_size": ranked["batch_size"]}
    for across, down in permutations(scaled):
        places["across"].select_option(across)
        places["down"].select_option(down)
        drawn(halved)
        *dots, ring = centres(marks(halved, "sweep", "symbol"))
        x, y = np.array(dots).T
        assert on_a_line(x, scaled[across])
        assert on_a_line(-y, scaled[down])
        assert np.abs(ring - dots[0]).max() < 1
    found = tooltip(halved, marks(halved, "sweep", "symbol").nth(5))
    row = ranked.iloc[5]
    assert found["values"] == f"learning_rate {row['learning_rate']:g}, batch_size {row['batch_size']:g}"
    assert float(found["loss"]) == pytest.approx(row["validation_loss"], rel=1e-3)
    places["down"].select_option("")
    drawn(halved)
    x, y = centres(marks(halved, "sweep", "symbol")).T[:, :-1]
    assert on_a_line(-y, np.log(ranked["validation_loss"]))
    assert choice["point"] == ranked.index[0]


def test_rungs_are_those_of_the_points(halved, rungs, choice):
    names = chart(halved, "rungs").locator(".role-legend-label text").all_text_contents()
    wins = [f"finalist {place}, wins {100 * row['wins']:.0f} %" for place, row in enumerate(choice["finalists"], 1)]
    assert names == [*wins, "dropped"]
    finalist = rungs["point"].isin([row["point"] for row in choice["finalists"]])
    rows = pd.concat([rungs[~finalist], rungs[finalist]])
    *dots, ring = centres(marks(halved, "rungs", "symbol"))
    x, y = np.array(dots).T
    within = y > y.min() + 0.5  # a loss that is far above the others stands at the top
    assert on_a_line(-y[within], np.log(rows["validation_loss"][within]))
    fresh = (rows["rung"] == choice["rung"]).to_numpy()
    assert on_a_line(x[~fresh], np.log(rows["seen"][~fresh]))
    assert x[fresh].min() > x[~fresh].max()
    chosen = fresh & (rows["point"] == choice["point"]).to_numpy()
    assert np.abs(ring - np.array(dots)[chosen]).max() < 1


def test_the_cost_of_all_sweeps_of_a_variant_is_that_of_their_points(halved, rungs, choice, tables):
    grid = tables["sweeps"].sort_values("point")
    grid = pd.DataFrame({"images": grid["images"], "validation_loss": grid["validation_loss_mean"]})
    expected, ends = [], []
    for rows, chosen in ((rungs, choice["validation_loss_mean"]), (grid, grid["validation_loss"].min())):
        total, lowest = rows["images"].cumsum(), rows["validation_loss"].cummin()
        lower = lowest < lowest.shift(fill_value=np.inf)
        lower.iloc[-1] = True
        expected += [*zip(total[lower], lowest[lower], strict=True)]
        ends.append((total.iloc[-1], chosen))
    images, losses = np.log([*expected, *ends]).T
    x, y = centres(marks(halved, "searches", "symbol")).T
    assert on_a_line(x, images)
    assert on_a_line(-y, losses)


def test_the_finalists_of_a_sweep_are_listed_with_their_wins(halved, choice):
    page = halved
    assert page.get_by_role("heading", name="Finalists of this sweep").is_visible()
    rows = choice["finalists"]
    assert [row[0] for row in cells(page, "finalists")] == [f"{100 * row['wins']:.2f}" for row in rows]
    found = [float(row[-3]) for row in cells(page, "finalists")]
    assert found == pytest.approx([row["validation_loss_mean"] for row in rows], rel=1e-3)
    chart(page, "sweep").locator("select[name=sweep]").select_option("regression-same-budget")
    assert not page.get_by_role("heading", name="Finalists of this sweep").is_visible()


# Small nets on the plane


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
    place.get_by_role("button", name="Play").click()
    place.get_by_text("step 20 of 20").wait_for()
    place.get_by_role("button", name="Play").wait_for()


# The gallery


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
        assert page.locator("#gallery output").inner_text().endswith("; 1 of these 47 are known label errors.")
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


# For every reader


def test_everything_that_can_be_used_or_seen_has_a_name(page):
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "combobox", "searchbox", "textbox", "checkbox", "slider", "link", "image", "img", "region"}
    roles |= {"DisclosureTriangle", "navigation", "graphics-document"}
    used = [node for node in nodes if not node.get("ignored") and node["role"]["value"] in roles]
    assert len(used) > 100
    unnamed = [node for node in used if not node.get("name", {}).get("value", "").strip()]
    described = [session.send("DOM.describeNode", {"backendNodeId": node["backendDOMNodeId"]}) for node in unnamed]
    assert [node["node"]["localName"] for node in described] == []
    names = page.locator(".chart-wrapper").evaluate_all("all => all.map(chart => chart.ariaLabel)")
    assert len(set(names)) == page.locator("[data-chart]").count() == 11
    assert all(len(name) > 20 for name in names)
    assert page.evaluate("[...document.images].every(image => image.alt && image.naturalWidth > 0)")


def test_headings_are_in_order(page):
    levels = [
        int(name[1]) for name in page.locator("h1, h2, h3, h4, h5, h6").evaluate_all("all => all.map(h => h.tagName)")
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


CONTRASTS = """() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const linear = v => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = colour => colour.reduce((sum, v, i) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][i], 0);
  const over = (front, back) => front.slice(0, 3).map((v, i) => v * (front[3] ?? 1) + back[i] * (1 - (front[3] ?? 1)));
  const found = {};
  for (const element of document.querySelectorAll("body, body *:not(svg, svg *, script, style)")) {
    const own = [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest(".vega-embed")) continue;
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(channels(getComputedStyle(at).backgroundColor));
    const paper = layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
    const ink = over(channels(getComputedStyle(element).color), paper);
    const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x);
    found[`${element.tagName} ${element.className} ${ink} on ${paper}`] = (a + 0.05) / (b + 0.05);
  }
  return found;
}"""


def test_the_theme_is_chosen_and_text_can_be_read_in_each(page):
    button = page.locator("#theme")
    page.emulate_media(color_scheme="dark")
    papers = []
    for name in ("light", "dark", "light"):
        button.click()
        assert page.get_by_role("button", name=f"Theme: {name}").is_visible()
        papers.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 30
        assert {kind: ratio for kind, ratio in contrasts.items() if ratio < 4.5} == {}
    assert papers[0] == papers[2] != papers[1]
    page.emulate_media(color_scheme="light")


def test_it_is_used_with_the_keyboard(browser, results):
    with reading(browser, results / "report.html") as (page, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the results"

        def tab_to(selector, most):
            for _ in range(most):
                page.keyboard.press("Tab")
                if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                    return
            raise AssertionError(selector)

        tab_to("#chooser summary", 15)
        page.keyboard.press("Enter")
        search = page.get_by_placeholder("find variants")
        assert search.is_visible()
        page.keyboard.press("Tab")
        page.keyboard.type("cnn")
        page.keyboard.press("Escape")
        if search.is_visible():  # the first one clears the field
            page.keyboard.press("Escape")
        assert not search.is_visible()
        assert page.evaluate("document.activeElement.matches('#chooser summary')")
        tab_to("[data-table=variants] thead button", 40)
        page.keyboard.press("Enter")
        head = table(page, "variants").locator("thead th").first
        assert head.get_attribute("aria-sort") == "ascending"
        assert [row[0] for row in cells(page, "variants")] == sorted(VARIANTS)
        page.keyboard.press("Space")  # the header still has the focus
        assert head.get_attribute("aria-sort") == "descending"


def test_what_is_printed_has_no_controls(page):
    page.locator("#theme").click()
    page.locator("#theme").click()  # dark
    page.emulate_media(media="print")
    for selector in ("nav", ".controls", ".drawing-controls", "#gallery button", "input", ".vega-embed details"):
        assert not any(one.is_visible() for one in page.locator(selector).all()), selector
    for place in page.locator("[data-table] thead th").all():
        assert place.inner_text()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#overview h1").is_visible()
    page.emulate_media(media="screen")
    page.locator("#theme").click()


@pytest.mark.parametrize("width", [360, 1280, 1920])
def test_it_fits_any_screen(browser, results, width):
    with reading(browser, results / "report.html", viewport={"width": width, "height": 800}) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("#chooser summary").click()
        box = page.locator("#chooser .panel").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        for view in page.locator(".view:visible").all():
            assert view.locator("svg.marks").bounding_box()["width"] <= view.bounding_box()["width"] + 1
