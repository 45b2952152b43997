"""Accuracies: every variant has its row, and against a cost its point."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
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


@pytest.mark.parametrize(("mean", "low", "high"), [(0.999, 0.996, 0.99975), (0.9, 0.4, 0.99)])
def test_error_bars_are_the_intervals_of_the_table(mean, low, high):
    variants, _ = tables(2)
    columns = ["test_accuracy_mean", "test_accuracy_ci95_low", "test_accuracy_ci95_high"]
    variants.loc[0, columns] = [mean, low, high]
    variants.loc[1, columns[1:]] = np.nan
    figure, axes = plt.subplots()
    accuracy.draw_points(axes, variants, "parameters", lecture=[])
    (container,) = axes.containers
    segments = {round(segment[0, 0]): 1 - np.sort(segment[:, 1]) for segment in container.lines[2][0].get_segments()}
    assert segments[1000] == pytest.approx([high, low])
    assert np.ptp(segments[2000]) == 0  # no interval, no bar
    bottom, top = sorted(axes.get_ylim())
    assert bottom < 1 - high < 1 - low < top
    plt.close(figure)


def toys():
    """Return the tables of a study with a toy problem beside the digits."""
    variants, runs = tables(2, seeds=3)
    toy, toy_runs = (table.replace({"variant-0": "circle-3"}) for table in tables(1, seeds=40, dataset="circle"))
    toy_runs["test_accuracy"] = [0.82, 0.83] + [1.0] * 38
    counted = {"success": 0.99, "successes": 38, "trials": 40, "success_ci95_low": 0.831, "success_ci95_high": 0.994}
    toy = toy.assign(
        test_accuracy_mean=0.99125, **counted, test_accuracy_ci95_low=np.nan, test_accuracy_ci95_high=np.nan
    )
    return pd.concat([variants, toy], ignore_index=True), pd.concat([runs, toy_runs], ignore_index=True)


def test_a_toy_problem_shows_how_many_seeds_succeed(tmp_path):
    accuracy.accuracy(*toys(), tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "38 of 40 (83 to 99 %)" in found
    assert "99.12" not in found
    assert "circle; right: seeds that succeed (95 % interval)" in found


def test_a_figure_that_cannot_show_all_variants_shows_those_that_validation_chooses(tmp_path):
    variants, runs = tables(101)
    variants["validation_accuracy_mean"] = 1 - variants["test_accuracy_mean"]
    accuracy.accuracy(variants, runs, tmp_path / "rows.svg")
    accuracy.against(variants, "mnist", *accuracy.COSTS["accuracy-time"], tmp_path / "points.svg")
    for name in ("rows", "points"):
        found = texts(tmp_path / f"{name}.svg").split()
        assert "variant-99" in found
        assert "variant-100" not in found
    assert "the 100 with the highest validation accuracy" in texts(tmp_path / "rows.svg")


def test_a_figure_of_the_same_table_has_the_same_bytes_whatever_the_settings_of_the_user(tmp_path):
    own = {"savefig.bbox": "tight", "figure.facecolor": "black", "font.size": 20, "text.usetex": True}
    for name, settings in (("a", {}), ("b", own)):
        with mpl.rc_context(settings):
            accuracy.accuracy(*tables(3), tmp_path / f"{name}.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_study_without_a_run_has_an_empty_figure(tmp_path):
    variants, runs = tables(2, failed=["variant-0", "variant-1"])
    accuracy.accuracy(variants, runs, tmp_path / "a.svg")
    accuracy.against(variants, "mnist", *accuracy.COSTS["accuracy-time"], tmp_path / "b.svg")
    assert "no results yet" in texts(tmp_path / "a.svg")
    assert "no results yet" in texts(tmp_path / "b.svg")
