"""All tables of a study, computed from the results that are there."""

from pathlib import Path

import pandas as pd

from mnist_hpc.study.specification import Study
from mnist_hpc.tables import aggregate, calibration, collect, comparisons, ensembles, robustness
from mnist_hpc.tables.predictions import Predictions


def computed(
    study: Study, results: Path, train_hash: str, evaluate_hash: str, perturb_hash: str
) -> dict[str, pd.DataFrame]:
    """Return the tables of a study by name; missing and stale runs have a row that says so.

    The hashes are those of today's code. Raises UserError if a result is damaged or belongs to another block.
    """
    identities = collect.identities(study, results, train_hash, evaluate_hash)
    runs = collect.runs(study.blocks, results, identities)
    predictions = Predictions(study, results)
    success = {name: variant.success for name, variant in study.variants.items()}
    confusions = aggregate.confusions(runs, study.blocks, results)
    calibrated, reliability = calibration.tables(study, results, runs)
    return {
        "runs": runs,
        "variants": aggregate.variants(runs, success, predictions.correct),
        "comparisons": comparisons.table(study, predictions, runs),
        "ensembles": ensembles.table(study, predictions, runs),
        "sweeps": aggregate.sweeps(study, results),
        "confusions": confusions,
        "classes": aggregate.classes(confusions),
        "calibration": calibrated,
        "reliability": reliability,
        "robustness": robustness.table(study, results, runs, identities, perturb_hash),
    }
