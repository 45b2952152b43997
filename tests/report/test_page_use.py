"""The report for every reader: names, headings, contrast, keyboard, print and screens of any width."""

from itertools import pairwise

import pytest
from in_browser import reading
from report_page import VARIANTS, cells, opened, page, project, results, table

pytestmark = pytest.mark.slow


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
