"""Paired differences and ensembles, against cases computed by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mnist_hpc.files import hdf5
from mnist_hpc.study.layout import Block
from mnist_hpc.study.specification import Variant
from mnist_hpc.tables import comparisons, ensembles
from mnist_hpc.tables.predictions import Predictions


def make_study(results, read, ensembles=None, bases=None):
    """Return a stand-in for a study and its runs.

    Args:
        results: where to write predictions of images of class 0, one of two.
        read: by variant a list of seeds, each the probabilities of class 0, or None for a failed one.
        ensembles: as the config's.
        bases: by variant.
    """
    blocks, rows = [], []
    for name, seeds in read.items():
        block = Block("digits", name, 0, len(seeds) - 1)
        blocks.append(block)
        with hdf5.writing(results / block.folder / "predictions.h5", {}) as file:
            file.create_dataset("labels", data=np.zeros(len(seeds[0] or ()), np.uint8))
            for seed, own in enumerate(seeds):
                row = {"dataset": "digits", "variant": name, "seed": seed, "status": "ok" if own else "failed"}
                if own:
                    values = np.array(own, np.float32)
                    file.create_dataset(f"seed-{seed}/probabilities", data=np.stack([values, 1 - values], axis=1))
                    row |= {"test_accuracy": float(np.mean(values > 0.5)), "validation_accuracy": float(values.mean())}
                rows.append(row)
    variants = {name: Variant(name, "digits", len(seeds), {}, (bases or {}).get(name)) for name, seeds in read.items()}
    return SimpleNamespace(variants=variants, blocks=blocks, ensembles=ensembles or {}), pd.DataFrame(rows)


def compared(study, results, runs):
    return comparisons.table(study, Predictions(study, results), runs)


def test_differences_are_paired_over_the_seeds_that_both_have(tmp_path):
    read = {
        # Test accuracies 1, ¾ and a failed seed; then ½, ½, ¼.
        "better": [[0.9, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, 0.2], None],
        "base": [[0.8, 0.8, 0.2, 0.2], [0.8, 0.8, 0.2, 0.2], [0.8, 0.2, 0.2, 0.2]],
    }
    study, runs = make_study(tmp_path, read, bases={"better": "base"})
    table = compared(study, tmp_path, runs).set_index(["variant", "relation"])
    row = table.loc["better", "base"]
    assert row[["reference", "n", "failed"]].tolist() == ["base", 2, 1]
    # Differences ½ and ¼: mean 0.375, sd 0.17678, t(0.975, 1) = 12.7062.
    assert row["difference_mean"] == pytest.approx(0.375)
    assert row["difference_ci95_low"] == pytest.approx(0.375 - 12.7062 * 0.125, abs=1e-4)
    # By mean probabilities (0.55 for the last image) the variant classifies all four correctly, the base two.
    assert row[["committee_only_variant_right", "committee_only_reference_right"]].tolist() == [2, 0]
    assert row["committee_mcnemar_p"] == pytest.approx(0.5)
    # By image and seed 0, 0, 1, 1 and 0, 0, 1, 0: SS of seeds 4 · 2/64, of images 2 · (2 · 9 + 25 + 1) / 64, of all
    # 3 - 9/8, so the mean squares are 1/8, 11/24 and 1/8. The variance is 11/24 / 8.
    half = stats.t.ppf(0.975, (11 / 24) ** 2 / (1 / 64 + (11 / 24) ** 2 / 3 + 1 / 64 / 3)) * np.sqrt(11 / 24 / 8)
    assert row["difference_new_images_ci95_high"] == pytest.approx(0.375 + half)
    assert row["difference_new_images_ci95_low"] == pytest.approx(0.375 - half)
    # The best is chosen by validation accuracy, and is not compared with itself.
    assert table.loc["base", "best"]["reference"] == "better"
    assert ("better", "best") not in table.index


def test_a_variant_without_a_run_is_compared_with_nothing(tmp_path):
    study, runs = make_study(tmp_path, {"one": [[0.9] * 4], "two": [None]}, bases={"two": "one"})
    table = compared(study, tmp_path, runs)
    assert table["n"].tolist() == [0, 0]
    assert table["failed"].tolist() == [1, 1]
    assert table["difference_mean"].isna().all()


def test_committees_can_differ_in_the_other_direction_than_their_members(tmp_path):
    # Each seed of the variant is wrong on an image of its own, and two of three outvote it; the seeds of the reference
    # are wrong together, on fewer images.
    read = {
        "own": [[0.1, 0.9, 0.9, 0.9], [0.9, 0.1, 0.9, 0.9], [0.9, 0.9, 0.1, 0.9]],
        "same": [[0.1, 0.9, 0.9, 0.9], [0.1, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, 0.9]],
    }
    study, runs = make_study(tmp_path, read, bases={"own": "same"})
    row = compared(study, tmp_path, runs).set_index(["variant", "relation"]).loc["own", "base"]
    assert row["difference_mean"] == pytest.approx(-1 / 12)
    assert row[["committee_only_variant_right", "committee_only_reference_right"]].tolist() == [1, 0]


def test_holms_correction_is_over_the_comparisons_of_one_relation(tmp_path):
    # 16 images; the heirs are right on 8, 6 and no further images than their base: p = 2/2⁸, 2/2⁶, none.
    right = {"base": 4, "eight": 12, "six": 10, "none": 4}
    read = {name: [[0.9] * count + [0.2] * (16 - count)] for name, count in right.items()}
    study, runs = make_study(tmp_path, read, bases=dict.fromkeys(["eight", "six", "none"], "base"))
    table = compared(study, tmp_path, runs).set_index(["relation", "variant"])
    of_base = table.loc["base"]
    assert of_base["committee_mcnemar_p"].tolist() == pytest.approx([2 / 256, 2 / 64, np.nan], nan_ok=True)
    assert of_base["committee_mcnemar_p_holm"].tolist() == pytest.approx([4 / 256, 2 / 64, np.nan], nan_ok=True)
    # Against the best there are three: base and none by 8 images each, and six by 2.
    of_best = table.loc["best"]["committee_mcnemar_p_holm"]
    assert of_best[["base", "six", "none"]].tolist() == pytest.approx([6 / 256, 0.5, 6 / 256])


def test_a_study_of_one_variant_has_no_comparison(tmp_path):
    study, runs = make_study(tmp_path, {"one": [[0.9] * 4]})
    assert list(compared(study, tmp_path, runs).columns) == comparisons.COLUMNS


def test_an_ensemble_is_the_mean_of_all_its_members(tmp_path):
    read = {
        # The means of the last image are 0.6 and 0.45 by variant, and 0.525 over all.
        "one": [[0.9, 0.4, 0.4, 0.7], [0.9, 0.4, 0.7, 0.5]],
        "two": [[0.9, 0.4, 0.1, 0.45], [0.9, 0.4, 0.1, 0.45]],
    }
    study, runs = make_study(tmp_path, read, {"both": ["one", "two"], "alone": ["one"]})
    table = ensembles.table(study, Predictions(study, tmp_path), runs).set_index("ensemble")
    assert table["members"].tolist() == [4, 2]
    assert table["test_accuracy"].tolist() == [0.5, 0.75]
    assert table["wrong"].tolist() == [2, 1]
    assert table.loc["both", "member_accuracy_mean"] == runs["test_accuracy"].mean()


def test_an_ensemble_with_a_failed_member_has_no_accuracy(tmp_path):
    study, runs = make_study(tmp_path, {"one": [[0.9] * 4, None]}, {"all": ["one"]})
    (row,) = ensembles.table(study, Predictions(study, tmp_path), runs).to_dict("records")
    assert row["status"] == "incomplete"
    assert np.isnan(row["test_accuracy"])
