"""Is one variant better than another? Paired differences over seeds, and McNemar's exact test over test images.

Variants that are trained with the same seeds see the same batches, and all classify the same test images. Comparing
them seed by seed and image by image is more sensitive than comparing two intervals.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from mnist_hpc.study.specification import Study
from mnist_hpc.tables.predictions import Predictions
from mnist_hpc.tables.statistics import crossed_interval, holm, interval, mcnemar

COLUMNS = [
    *("dataset", "variant", "relation", "reference", "n", "failed", "difference_mean", "difference_sd"),
    *("difference_ci95_low", "difference_ci95_high"),
    *("difference_new_images_ci95_low", "difference_new_images_ci95_high"),
    *("committee_only_variant_right", "committee_only_reference_right"),
    *("committee_mcnemar_p", "committee_mcnemar_p_holm"),
]


def best(runs: pd.DataFrame) -> dict[str, str]:
    """Return by data set the variant with the highest mean validation accuracy; the test set must not choose it."""
    good = runs[runs["status"] == "ok"]
    means = good.groupby(["dataset", "variant"], sort=False)["validation_accuracy"].mean().dropna()
    return {dataset: of_dataset.idxmax()[1] for dataset, of_dataset in means.groupby("dataset")}


def table(study: Study, predictions: Predictions, runs: pd.DataFrame) -> pd.DataFrame:
    """Return each variant against its base and against the best of its data set (columns: ``COLUMNS``).

    ``difference_*`` are of test accuracy, variant minus reference, over the ``n`` seeds that are ok for both;
    ``failed`` further seeds of both diverged in one of them or in both. ``committee_*`` compare what these seeds
    predict together: one prediction per image, so that images are independent, as McNemar's test requires. Holm's
    correction is over the rows with the same data set and relation.
    """
    by_variant = {name: group.set_index("seed") for name, group in runs.groupby("variant", sort=False)}
    rows = []
    for row in _pairs(study, best(runs)):
        first, second = by_variant[row["variant"]], by_variant[row["reference"]]
        seeds = first.index.intersection(second.index)
        statuses = pd.concat([first.loc[seeds, "status"], second.loc[seeds, "status"]], axis=1)
        row |= {"failed": int((statuses == "failed").any(axis=1).sum())}
        good = seeds[(statuses == "ok").all(axis=1)]
        differences = first.loc[good, "test_accuracy"] - second.loc[good, "test_accuracy"]
        rows.append(row | _difference(differences, predictions, row["variant"], row["reference"]))
    types = {"committee_mcnemar_p": float, "committee_only_variant_right": "Int64"}
    found = pd.DataFrame(rows, columns=COLUMNS).astype(types | {"committee_only_reference_right": "Int64"})
    families = found.groupby(["dataset", "relation"], sort=False)["committee_mcnemar_p"]
    found["committee_mcnemar_p_holm"] = families.transform(lambda values: holm(values.tolist()))
    return found


def _pairs(study: Study, leading: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the keys of each comparison; variants of two data sets are not compared."""
    for name, variant in study.variants.items():
        for relation, reference in (("base", variant.base), ("best", leading.get(variant.dataset))):
            if reference not in (None, name) and study.variants[reference].dataset == variant.dataset:
                yield {"dataset": variant.dataset, "variant": name, "relation": relation, "reference": reference}


def _difference(differences: pd.Series, predictions: Predictions, variant: str, reference: str) -> dict[str, Any]:
    """Return the numbers of one comparison from the differences by seed; only ``n`` if there are none."""
    if differences.empty:
        return {"n": 0}
    seeds = tuple(differences.index)
    low, high = interval(differences.to_numpy())
    by_image = (predictions.correct(name, seeds).astype(np.int8) for name in (variant, reference))
    new_low, new_high = crossed_interval(np.subtract(*by_image))
    one, other = (predictions.committee((name,), seeds) for name in (variant, reference))
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    return {
        "n": len(seeds),
        "difference_mean": differences.mean(),
        "difference_sd": differences.std(ddof=1),
        "difference_ci95_low": low,
        "difference_ci95_high": high,
        "difference_new_images_ci95_low": new_low,
        "difference_new_images_ci95_high": new_high,
        "committee_only_variant_right": only_one,
        "committee_only_reference_right": only_other,
        "committee_mcnemar_p": mcnemar(only_one, only_other),
    }
