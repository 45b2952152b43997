"""Is one variant better than another? Differences paired over seeds, and McNemar's exact test on what they read.

Two variants that were trained with the same seeds saw the same batches, and all read the same test images. So they are
compared seed by seed and image by image, which is sharper than two intervals side by side.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_hpc.study.specification import Study
from mnist_hpc.tables.ensembles import Pooled
from mnist_hpc.tables.statistics import interval, mcnemar

COLUMNS = [
    *("dataset", "variant", "relation", "reference", "n", "difference_mean", "difference_sd"),
    *("difference_ci95_low", "difference_ci95_high", "only_variant_right", "only_reference_right", "mcnemar_p"),
]


def best(runs: pd.DataFrame) -> dict[str, str]:
    """Return by data set the variant with the highest mean validation accuracy, as the test set must not choose."""
    good = runs[runs["status"] == "ok"]
    means = good.groupby(["dataset", "variant"], sort=False)["validation_accuracy"].mean().dropna()
    return {dataset: of_dataset.idxmax()[1] for dataset, of_dataset in means.groupby("dataset")}


def table(study: Study, results: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Return each variant against its base and against the best of its data set (columns: ``COLUMNS``).

    ``difference_*`` are of test accuracy, variant less reference, over the ``n`` seeds that are ok for both.
    ``only_variant_right`` and ``only_reference_right`` count the test images that one of the two alone reads rightly,
    each by the mean probabilities of these seeds: one reading an image, so that images are independent of each other,
    as the test behind ``mcnemar_p`` asks for. ``best`` is chosen by validation accuracy. Nothing is corrected for the
    number of comparisons.
    """
    good = runs[runs["status"] == "ok"].set_index("seed")
    accuracies = dict(iter(good.groupby("variant")["test_accuracy"]))
    pooled = Pooled(study, results)
    leading = best(runs)
    rows = []
    for name, variant in study.variants.items():
        for relation, reference in (("base", variant.base), ("best", leading.get(variant.dataset))):
            if reference in (None, name) or study.variants[reference].dataset != variant.dataset:
                continue
            row = {"dataset": variant.dataset, "variant": name, "relation": relation, "reference": reference}
            rows.append(row | _difference(accuracies, pooled, name, reference))
    return pd.DataFrame(rows, columns=COLUMNS)


def _difference(accuracies: Mapping[str, pd.Series], pooled: Pooled, variant: str, reference: str) -> dict[str, Any]:
    """Return the numbers of one comparison; ``n`` alone where there is no seed to compare."""
    if not {variant, reference} <= set(accuracies):
        return {"n": 0}
    differences = (accuracies[variant] - accuracies[reference]).dropna()
    if not len(differences):
        return {"n": 0}
    low, high = interval(differences.to_numpy())
    seeds = tuple(differences.index)
    rights = [pooled.right((name,), seeds) for name in (variant, reference)]
    only_first, only_second = int((rights[0] & ~rights[1]).sum()), int((rights[1] & ~rights[0]).sum())
    return {
        "n": len(differences),
        "difference_mean": differences.mean(),
        "difference_sd": differences.std(ddof=1),
        "difference_ci95_low": low,
        "difference_ci95_high": high,
        "only_variant_right": only_first,
        "only_reference_right": only_second,
        "mcnemar_p": mcnemar(only_first, only_second),
    }
