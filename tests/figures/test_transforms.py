"""Accuracy on transformed images: which variants are drawn, and where."""

import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from drawn import texts

from mnist_hpc import figures
from mnist_hpc.figures import robustness

LEVELS = {"none": [0.0], "shift": [1.0, 2.0], "rotation": [10.0, 30.0], "zoom": [0.7, 1.3], "noise": [0.1, 0.5]}


def measured(count, seeds=5, accuracy=0.99):
    rows = [
        {"dataset": "mnist", "variant": f"net-{number}", "transform": transform, "level": level, "n": seeds}
        | {"test_accuracy_mean": accuracy - 0.05 * level / max(levels[-1], 1), "test_accuracy_sd": 0.001}
        for number in range(count)
        for transform, levels in LEVELS.items()
        for level in levels
    ]
    columns = ["dataset", "variant", "transform", "level", "n", "test_accuracy_mean", "test_accuracy_sd"]
    return pd.DataFrame(rows, columns=columns)


def test_the_variants_with_the_highest_validation_accuracy_are_compared_whatever_the_test_set_says():
    variants = pd.DataFrame(
        {
            "dataset": ["mnist"] * 8 + ["circle"],
            "variant": [*(f"net-{number}" for number in range(8)), "circle"],
            "validation_accuracy_mean": [0.91, 0.98, 0.93, 0.97, None, 0.95, 0.96, 0.94, 1.0],
            "test_accuracy_mean": [1.0, 0.1, 0.99, 0.2, 0.98, 0.3, 0.4, 0.5, 1.0],
        }
    )
    found = figures.leading(measured(7), variants, "mnist")
    assert found == ["net-1", "net-3", "net-6", "net-5", "net-2", "net-0"]


@pytest.mark.parametrize("count", [1, 6])
def test_each_transform_has_a_panel_and_each_variant_a_line(count, tmp_path):
    names = [f"net-{number}" for number in range(count)]
    robustness.transforms(measured(count), names, "mnist", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert all(label in found for label, _ in robustness.TRANSFORMS.values())
    assert all(found.count(name) == 1 for name in names)
    assert "mnist" in found
    assert "n = 5" in found


@pytest.mark.parametrize(("seeds", "accuracy"), [(1, 0.99), (5, 1.05)])
def test_one_seed_and_accuracies_of_1_are_drawn(seeds, accuracy, tmp_path):
    table = measured(2, seeds, accuracy)
    table["test_accuracy_mean"] = table["test_accuracy_mean"].clip(upper=1)
    table["test_accuracy_sd"] = 0.001 if seeds > 1 else None
    robustness.transforms(table, ["net-0", "net-1"], "mnist", tmp_path / "figure.svg")
    assert ("100" in texts(tmp_path / "figure.svg")) == (accuracy > 1)
    assert "nan" not in ET.tostring(ET.parse(tmp_path / "figure.svg").getroot(), encoding="unicode")


def test_a_study_without_images_or_results_has_a_figure_that_says_so(tmp_path):
    robustness.transforms(measured(0), [], "circle", tmp_path / "figure.svg")
    assert "no results yet" in texts(tmp_path / "figure.svg")
