"""Paired differences and ensembles, against cases computed by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mnist_hpc.files import hdf5
from mnist_hpc.study.layout import Block
from mnist_hpc.study.specification import Variant
from mnist_hpc.tables import comparisons, ensembles


def make_study(results, read, ensembles=None, bases=None):
    """Return a stand-in for a study and its runs.

    Args:
        results: where to write predictions of four images of class 0 and two classes.
        read: by variant a list of seeds, each the probabilities of class 0, or None for a failed one.
        ensembles: as the config's.
        bases: by variant.
    """
    blocks, rows = [], []
    for name, seeds in read.items():
        block = Block("digits", name, 0, len(seeds) - 1)
        blocks.append(block)
        with hdf5.writing(results / block.folder / "predictions.h5", {}) as file:
            file.create_dataset("labels", data=np.zeros(4, np.uint8))
            for seed, own in enumerate(seeds):
                row = {"dataset": "digits", "variant": name, "seed": seed, "status": "ok" if own else "failed"}
                if own:
                    values = np.array(own, np.float32)
                    file.create_dataset(f"seed-{seed}/probabilities", data=np.stack([values, 1 - values], axis=1))
                    row |= {"test_accuracy": float(np.mean(values > 0.5)), "validation_accuracy": float(values.mean())}
                rows.append(row)
    variants = {name: Variant(name, "digits", len(seeds), {}, (bases or {}).get(name)) for name, seeds in read.items()}
    return SimpleNamespace(variants=variants, blocks=blocks, ensembles=ensembles or {}), pd.DataFrame(rows)


def test_differences_are_paired_over_the_seeds_that_both_have(tmp_path):
    read = {
        # Test accuracies 1, ¾ and a failed seed; then ½, ½, ¼.
        "better": [[0.9, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, 0.2], None],
        "base": [[0.8, 0.8, 0.2, 0.2], [0.8, 0.8, 0.2, 0.2], [0.8, 0.2, 0.2, 0.2]],
    }
    study, runs = make_study(tmp_path, read, bases={"better": "base"})
    table = comparisons.table(study, tmp_path, runs).set_index(["variant", "relation"])
    row = table.loc["better", "base"]
    assert row[["reference", "n"]].tolist() == ["base", 2]
    # Differences ½ and ¼: mean 0.375, sd 0.17678, t(0.975, 1) = 12.7062.
    assert row["difference_mean"] == pytest.approx(0.375)
    assert row["difference_ci95_low"] == pytest.approx(0.375 - 12.7062 * 0.125, abs=1e-4)
    # By mean probabilities (0.55 for the last image) the variant classifies all four correctly, the base two.
    assert row[["only_variant_right", "only_reference_right"]].tolist() == [2, 0]
    assert row["mcnemar_p"] == pytest.approx(0.5)
    # The best is chosen by validation accuracy, and is not compared with itself.
    assert table.loc["base", "best"]["reference"] == "better"
    assert ("better", "best") not in table.index


def test_a_variant_without_a_run_is_compared_with_nothing(tmp_path):
    study, runs = make_study(tmp_path, {"one": [[0.9] * 4], "two": [None]}, bases={"two": "one"})
    table = comparisons.table(study, tmp_path, runs)
    assert table["n"].tolist() == [0, 0]
    assert table["difference_mean"].isna().all()


def test_an_ensemble_is_the_mean_of_all_its_members(tmp_path):
    read = {
        # The means of the last image are 0.6 and 0.45 by variant, and 0.525 over all.
        "one": [[0.9, 0.4, 0.4, 0.7], [0.9, 0.4, 0.7, 0.5]],
        "two": [[0.9, 0.4, 0.1, 0.45], [0.9, 0.4, 0.1, 0.45]],
    }
    study, runs = make_study(tmp_path, read, {"both": ["one", "two"], "alone": ["one"]})
    table = ensembles.table(study, tmp_path, runs).set_index("ensemble")
    assert table["members"].tolist() == [4, 2]
    assert table["test_accuracy"].tolist() == [0.5, 0.75]
    assert table["wrong"].tolist() == [2, 1]
    assert table.loc["both", "member_accuracy_mean"] == runs["test_accuracy"].mean()


def test_an_ensemble_with_a_failed_member_has_no_accuracy(tmp_path):
    study, runs = make_study(tmp_path, {"one": [[0.9] * 4, None]}, {"all": ["one"]})
    (row,) = ensembles.table(study, tmp_path, runs).to_dict("records")
    assert row["status"] == "incomplete"
    assert np.isnan(row["test_accuracy"])
