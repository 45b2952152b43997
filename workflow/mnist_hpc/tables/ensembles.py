"""Ensembles: several trained models predict together the class with the highest mean probability."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc.files import hdf5
from mnist_hpc.study.specification import Study
from mnist_hpc.tables.statistics import wilson

COLUMNS = [
    *("dataset", "ensemble", "variants", "status", "members", "test_accuracy", "test_accuracy_ci95_low"),
    *("test_accuracy_ci95_high", "wrong", "member_accuracy_mean"),
]


class Pooled:
    """Predictions of several runs of a study together; the test file is not opened."""

    def __init__(self, study: Study, results: Path) -> None:
        """Remember where the predictions are; they are read on demand."""
        self._places = {
            (block.variant, seed): results / block.folder / "predictions.h5"
            for block in study.blocks
            for seed in block.seeds
        }
        # Only this result is kept: the probabilities of a large study do not fit into memory.
        self.correct = cache(self._correct)

    def _correct(self, variants: tuple[str, ...], seeds: tuple[int, ...]) -> np.ndarray:
        """Return which test images all members classify correctly by their mean probabilities, bool (N,).

        Args:
            variants: Names of variants of one data set.
            seeds: Seeds of each variant; those that a variant does not have are left out.
        """
        total: np.ndarray | float = 0.0
        labels = np.array([])
        for member in ((variant, seed) for variant in variants for seed in seeds if (variant, seed) in self._places):
            with hdf5.reading(self._places[member]) as file:
                total = total + file[f"seed-{member[1]}/probabilities"][()].astype(np.float64)
                labels = file["labels"][()]
        return np.argmax(total, axis=1) == labels


def table(study: Study, results: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per ensemble (columns: ``COLUMNS``).

    The members are all seeds of its variants, never a selection. If one of them is missing or failed, ``status`` is
    "incomplete" and there is no accuracy. The interval (Wilson) is that of these members on other test images.
    """
    pooled = Pooled(study, results)
    rows = []
    for name, variants in study.ensembles.items():
        members = runs[runs["variant"].isin(variants)]
        row: dict[str, Any] = {
            "dataset": study.variants[variants[0]].dataset,
            "ensemble": name,
            "variants": " ".join(variants),
            "members": len(members),
            "status": "ok" if set(members["status"]) == {"ok"} else "incomplete",
        }
        if row["status"] == "ok":
            correct = pooled.correct(tuple(variants), tuple(sorted(set(members["seed"]))))
            low, high = wilson(int(correct.sum()), len(correct))
            row |= {"test_accuracy": correct.mean(), "test_accuracy_ci95_low": low, "test_accuracy_ci95_high": high}
            row |= {"wrong": int((~correct).sum()), "member_accuracy_mean": members["test_accuracy"].mean()}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"wrong": "Int64"})
