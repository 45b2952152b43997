"""The report of a study with every kind of section, open in a real browser without a network.

What it must say comes from the files of the study: its CSV tables, learning curves, sweep and predictions. All tests
of a module use one open page.
"""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from in_browser import reading, wide_study

VARIANTS = ["cnn", "regression", "regression-same-budget", "wild", "circle-3"]


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


def centres(found):
    """Return the middles of marks on the screen, (n, 2)."""
    boxes = found.evaluate_all("all => all.map(mark => Object.values(mark.getBoundingClientRect().toJSON()))")
    left, top, width, height = np.array(boxes).T[:4]
    return np.column_stack([left + width / 2, top + height / 2])


def on_a_line(pixels, values):
    """Return whether positions on the screen grow linearly with values."""
    slope, start = np.polyfit(values, pixels, 1)
    return slope > 0 and np.abs(slope * np.array(values) + start - pixels).max() < 1
