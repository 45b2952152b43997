"""The benchmarks measure what they say: every contender of this environment learns, and ratios are pair by pair."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import summary
from contenders.protocol import WORKLOADS, order

import training

OWN = [name for name, (_, where) in training.FILES.items() if where == "own"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == summary.OURS else pytest.mark.slow) for name in OWN]
)
def test_a_contender_trains_when_told_to_and_learns(digits, name):
    with training.arrays(digits) as path:
        contender = training.Contender(name, "regression", path, Path("peers"), threads=1)
        try:
            results = [contender.train() for _ in range(2)]
        finally:
            contender.close()
    assert all(result["seconds"] > 0 for result in results)
    assert all(0.8 < result["accuracy"] < 1 for result in results)


def test_all_contenders_see_as_many_images():
    for workload in WORKLOADS.values():
        batches = order(workload, 1257, seed=0)
        assert batches.shape == (workload.steps, workload.batch)
        assert np.bincount(batches.ravel()[:1257], minlength=1257).max() == 1


def test_ratios_are_medians_of_pairs():
    seconds = {summary.OURS: [1.0, 2.0, 4.0], "Keras fit": [8.0, 8.0, 8.0]}
    table = pd.DataFrame(
        {"workload": "regression", "call": "later", "contender": name, "round": place, "seconds": value}
        for name, values in seconds.items()
        for place, value in enumerate(values)
    )
    (line,) = summary.ratios(table)
    assert (line["median"], line["n"]) == (4.0, 3)
