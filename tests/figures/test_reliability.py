"""Reliability diagrams: a panel for each variant, and dots where confidence and accuracy say."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from drawn import texts

from mnist_hpc.figures import reliability


def bins(count, seeds=2, **changes):
    confidence = 1 - np.geomspace(0.5, 1e-6, 15)
    rows = [
        pd.DataFrame(
            {"variant": f"net-{number}", "seed": seed, "bin": range(15), "images": 667, "confidence": confidence}
            | {"accuracy": confidence, "calibrated_q025": confidence - 0.01, "calibrated_q975": 1.0}
        )
        for number in range(count)
        for seed in range(seeds)
    ]
    return pd.concat(rows).assign(**changes) if rows else pd.DataFrame(columns=["variant", "seed", "images"])


@pytest.mark.parametrize(("count", "seeds"), [(1, 1), (3, 2), (6, 5)])
def test_each_variant_has_a_panel(count, seeds, tmp_path):
    names = [f"net-{number}" for number in range(count)]
    reliability.diagrams(bins(count, seeds), names, "mnist", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert all(name in found for name in names)
    assert f"mnist (n = {seeds})" in found
    assert "confidence" in found


def dots(path):
    """Return the places of the dots of an SVG, in points from the upper left."""
    return [
        (float(use.get("x")), float(use.get("y")))
        for use in ET.parse(path).iter("{http://www.w3.org/2000/svg}use")
        if "#0072b2" in use.get("style", "")
    ]


@pytest.mark.parametrize(("off", "where"), [(-0.1, "below"), (0.2, "above"), (0.0, "on")])
def test_overconfident_bins_are_below_the_line_and_underconfident_ones_above(off, where, tmp_path):
    table = bins(1, 1)
    table = table[table["confidence"] < 0.8]
    table = table.assign(accuracy=table["confidence"] + off)
    reliability.diagrams(table, ["net-0"], "mnist", tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text()
    # The line is the only path of two points in its colour.
    path = r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n"[^>]*stroke: #737373; stroke-width: 0.8'
    (line,) = re.findall(path, text)
    x0, y0, x1, y1 = map(float, line)
    places = dots(tmp_path / "figure.svg")
    assert len(places) == len(table)
    for x, y in places:
        height = (y0 + (x - x0) / (x1 - x0) * (y1 - y0)) - y  # above the line, in points
        assert {"below": height < -1, "above": height > 1, "on": abs(height) < 0.1}[where]


def test_a_study_without_softmax_outputs_has_a_figure_that_says_so(tmp_path):
    reliability.diagrams(bins(0), [], "mnist", tmp_path / "figure.svg")
    assert "no results yet" in texts(tmp_path / "figure.svg")
