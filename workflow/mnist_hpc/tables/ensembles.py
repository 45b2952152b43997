"""Ensembles: several trained models predict together the class with the highest mean output."""

from typing import Any

import pandas as pd

from mnist_hpc.study.specification import Study
from mnist_hpc.tables.predictions import Predictions
from mnist_hpc.tables.statistics import wilson

COLUMNS = [
    *("dataset", "ensemble", "variants", "status", "members", "test_accuracy", "test_accuracy_ci95_low"),
    *("test_accuracy_ci95_high", "wrong", "member_accuracy_mean"),
]


def table(study: Study, predictions: Predictions, runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per ensemble (columns: ``COLUMNS``).

    The members are all seeds of its variants, never a selection. If one is missing, stale or failed, ``status`` is
    "incomplete" and there is no accuracy. The interval (Wilson) is that of these members on other test images.
    """
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
            correct = predictions.committee(tuple(variants), tuple(sorted(set(members["seed"]))))
            low, high = wilson(int(correct.sum()), len(correct))
            row |= {"test_accuracy": correct.mean(), "test_accuracy_ci95_low": low, "test_accuracy_ci95_high": high}
            row |= {"wrong": int((~correct).sum()), "member_accuracy_mean": members["test_accuracy"].mean()}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS).astype({"wrong": "Int64"})
