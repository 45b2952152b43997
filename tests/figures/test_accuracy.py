"""Accuracies: every variant has its row, and against a cost its point."""

import pandas as pd
import pytest
from drawn import STUDIES, tables, texts

from mnist_hpc.figures import accuracy


@pytest.mark.parametrize("case", STUDIES)
def test_every_variant_has_its_row_with_its_accuracy(case, tmp_path):
    variants, runs = STUDIES[case]
    accuracy.accuracy(variants, runs, tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    for row in variants.to_dict("records"):
        assert row["variant"] in found
        if row["n"]:
            assert f"{100 * row['test_accuracy_mean']:.2f}" in found
    assert f"n = {variants.loc[variants['n'] > 0, 'n'].iloc[0]}" in found
    assert ("without a finished run: variant-1" in found) == (case == "a failed variant")


@pytest.mark.parametrize("case", STUDIES)
@pytest.mark.parametrize("kind", accuracy.COSTS)
def test_accuracy_against_a_cost_names_every_point(kind, case, tmp_path):
    variants, _ = STUDIES[case]
    other = variants.iloc[:1].assign(variant="circle", dataset="circle")
    accuracy.against(pd.concat([variants, other]), "mnist", *accuracy.COSTS[kind], tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    for row in variants[variants["n"] > 0].to_dict("records"):
        assert f"{row['variant']} {100 * row['test_accuracy_mean']:.2f}" in found
    assert accuracy.COSTS[kind][1] in found
    assert "the lecture: 91.83 %" in found
    assert "circle" not in found
    assert ("variant-1" in found) == (len(variants) > 1 and case != "a failed variant")


def test_the_lecture_is_marked_where_its_model_is_and_nowhere_else(tmp_path):
    variants, runs = tables(2)
    accuracy.accuracy(variants, runs, tmp_path / "without.svg")
    assert "lecture" not in texts(tmp_path / "without.svg")
    named = [table.replace("variant-0", "regression") for table in (variants, runs)]
    accuracy.accuracy(*named, tmp_path / "with.svg")
    assert "the lecture: 91.83 %" in texts(tmp_path / "with.svg")
    digits_too = [table.assign(dataset="digits") for table in named]
    accuracy.accuracy(*digits_too, tmp_path / "digits.svg")
    assert "lecture" not in texts(tmp_path / "digits.svg")


def test_a_figure_of_the_same_table_has_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        accuracy.accuracy(*tables(3), tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_study_without_a_run_has_an_empty_figure(tmp_path):
    variants, runs = tables(2, failed=["variant-0", "variant-1"])
    accuracy.accuracy(variants, runs, tmp_path / "a.svg")
    accuracy.against(variants, "mnist", *accuracy.COSTS["accuracy-time"], tmp_path / "b.svg")
    assert "no results yet" in texts(tmp_path / "a.svg")
    assert "no results yet" in texts(tmp_path / "b.svg")
