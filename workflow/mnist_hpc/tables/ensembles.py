"""Several trained models that read the test images together: the class with the highest mean probability."""

from collections.abc import Sequence
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
    """What runs of a study read together, from their predictions; the test file is not touched."""

    def __init__(self, study: Study, results: Path) -> None:
        """Remember where predictions lie; they are read when they are asked for."""
        self._places = {
            (block.variant, seed): results / block.folder / "predictions.h5"
            for block in study.blocks
            for seed in block.seeds
        }
        # Of the images alone that a set of members reads rightly: probabilities of a large study would fill the memory.
        self.right = cache(self._right)

    def _right(self, variants: tuple[str, ...], seeds: tuple[int, ...]) -> np.ndarray:
        """Return which test images are read rightly by the mean probabilities of all members, bool (N,).

        Args:
            variants: of one data set.
            seeds: of each of them; those that a variant does not have are left out.
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

    Members are all seeds of its variants, never a chosen few: where one is not there, or failed, ``status`` says so
    and there is no accuracy. The interval (Wilson) is about other test images, for these very members.
    """
    pooled = Pooled(study, results)
    rows = []
    for name, variants in study.ensembles.items():
        of_members = runs[runs["variant"].isin(variants)]
        row: dict[str, Any] = {
            "dataset": study.variants[variants[0]].dataset,
            "ensemble": name,
            "variants": " ".join(variants),
        }
        row |= {"members": len(of_members), "status": _status(of_members["status"])}
        if row["status"] == "ok":
            right = pooled.right(tuple(variants), tuple(sorted(set(of_members["seed"]))))
            low, high = wilson(int(right.sum()), len(right))
            row |= {"test_accuracy": right.mean(), "test_accuracy_ci95_low": low, "test_accuracy_ci95_high": high}
            row |= {"wrong": int((~right).sum()), "member_accuracy_mean": of_members["test_accuracy"].mean()}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"wrong": "Int64"})


def _status(statuses: Sequence[str]) -> str:
    return "ok" if set(statuses) == {"ok"} else "incomplete"
