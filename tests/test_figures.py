"""Figures: what a person must find in them, whatever the study is like."""

import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest

from conftest import error_line, run
from mnist_hpc import figures


def variants(count, seeds=5, **changes):
    """Return a table of variants as tabulate writes it."""
    interval = 0.001 if seeds > 1 else float("nan")
    rows = []
    for number in range(count):
        mean = 0.9 + 0.099 * number / count
        rows.append(
            {
                "dataset": "mnist",
                "variant": f"variant-{number}",
                "n": seeds,
                "test_accuracy_mean": mean,
                "test_accuracy_ci95_low": mean - interval,
                "test_accuracy_ci95_high": mean + interval,
                "train_seconds_mean": 0.1 * (number + 1) ** 2,
            }
            | changes
        )
    return pd.DataFrame(rows)


def texts(path):
    return [
        "".join(element.itertext()).strip()
        for element in ElementTree.parse(path).iter()
        if element.tag.endswith("text")
    ]


@pytest.mark.parametrize(
    "table",
    [variants(1), variants(40), variants(3, seeds=1), variants(2, test_accuracy_mean=1.0, test_accuracy_ci95_high=1.0)],
    ids=["one", "forty", "one seed", "nothing wrong"],
)
def test_every_variant_is_named_with_its_accuracy_and_n(table, tmp_path):
    missing = table.iloc[:1].assign(variant="not-run", n=0, test_accuracy_mean=float("nan"))
    other = table.iloc[:1].assign(variant="circle", dataset="circle")
    figures.accuracy_time(pd.concat([table, missing, other]), "mnist", tmp_path / "figure.svg")
    found = " ".join(texts(tmp_path / "figure.svg"))
    for row in table.to_dict("records"):
        assert f"{row['variant']} {row['test_accuracy_mean'] * 100:.2f} % (n = {row['n']})" in " ".join(found.split())
    assert "not-run" not in found
    assert "circle" not in found
    assert "s (start-up" in found
    assert "the lecture: 91.83 %" in found


def test_a_figure_of_the_same_table_has_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        figures.accuracy_time(variants(3), "digits", tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "lecture" not in " ".join(texts(tmp_path / "a.svg"))


def test_a_study_without_a_run_has_an_empty_figure(tmp_path):
    figures.accuracy_time(variants(2, n=0, test_accuracy_mean=float("nan")), "mnist", tmp_path / "figure.svg")
    assert "no run" in " ".join(texts(tmp_path / "figure.svg"))


def test_an_unknown_figure_is_refused(tmp_path):
    variants(1).to_csv(tmp_path / "variants.csv")
    options = ("--variants", tmp_path / "variants.csv", "--dataset", "mnist", "--output", tmp_path / "x.svg")
    assert "accuracy-time" in error_line(run("draw", "--figure", "acuracy", *options))
