"""Is one variant better than another? Paired differences over seeds, and McNemar's exact test over test images.

Variants that are trained with the same seeds see the same batches, and all classify the same test images. Comparing
them seed by seed and image by image is more sensitive than comparing two intervals.
"""

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
    """Return by data set the variant with the highest mean validation accuracy; the test set must not choose it."""
    good = runs[runs["status"] == "ok"]
    means = good.groupby(["dataset", "variant"], sort=False)["validation_accuracy"].mean().dropna()
    return {dataset: of_dataset.idxmax()[1] for dataset, of_dataset in means.groupby("dataset")}


def table(study: Study, results: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Return each variant against its base and against the best of its data set (columns: ``COLUMNS``).

    ``difference_*`` are of test accuracy, variant minus reference, over the ``n`` seeds that are ok for both.
    ``only_variant_right`` and ``only_reference_right`` count the test images that only one of the two classifies
    correctly by the mean probabilities of these seeds. This gives one prediction per image, so that images are
    independent, as the test behind ``mcnemar_p`` requires. There is no correction for multiple comparisons.
    """
    good = runs[runs["status"] == "ok"].set_index("seed")
    accuracies = dict(iter(good.groupby("variant")["test_accuracy"]))
    none = pd.Series(dtype=float)
    pooled, leading = Pooled(study, results), best(runs)
    rows = []
    for name, variant in study.variants.items():
        for relation, reference in (("base", variant.base), ("best", leading.get(variant.dataset))):
            if reference in (None, name) or study.variants[reference].dataset != variant.dataset:
                continue
            row = {"dataset": variant.dataset, "variant": name, "relation": relation, "reference": reference}
            differences = (accuracies.get(name, none) - accuracies.get(reference, none)).dropna()
            rows.append(row | _difference(differences, pooled, name, reference))
    return pd.DataFrame(rows, columns=COLUMNS)


def _difference(differences: pd.Series, pooled: Pooled, variant: str, reference: str) -> dict[str, Any]:
    """Return the numbers of one comparison from the differences by seed; only ``n`` if there are none."""
    if differences.empty:
        return {"n": 0}
    low, high = interval(differences.to_numpy())
    first, second = (pooled.correct((name,), tuple(differences.index)) for name in (variant, reference))
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
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
