"""What the report shows of sweeps: grids, points of a space, rungs, costs and finalists."""

import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect
from report_page import cells, centres, chart, drawn, marks, on_a_line, opened, page, project, results, tables, tooltip

from mnist_hpc.report.scripts import joined

pytestmark = pytest.mark.slow


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


def test_what_lies_at_the_edge_of_a_sweep_is_said(halved, results):
    shown = {}
    for name in pd.read_csv(results / "tables/sweeps.csv")["sweep"].unique():
        chart(halved, "sweep").locator("select[name=sweep]").select_option(name)
        edges = json.loads((results / f"sweeps/{name}/best.json").read_text())["at_the_edge"]
        said = halved.get_by_text("There may be better values beyond the edge of what was tried: ")
        shown[name] = said.is_visible()
        assert shown[name] == bool(edges)
        if edges:
            assert said.text_content().endswith(f": {', '.join(edges)}.")
    assert set(shown.values()) == {True, False}


def test_values_that_are_no_numbers_stand_in_the_order_of_the_config(browser):
    page = browser.new_page()
    names = json.dumps({True: "True", False: "False"})
    page.set_content('<script id="contents" type="application/json">{}</script>')
    scripts = joined(["contents.js", "sweeps.js"])
    page.add_script_tag(type="module", content=f"{scripts}\nwindow.found = different([false, true, 2, 1], {names})")
    assert page.evaluate("found") == [1, 2, True, False]
    page.close()
