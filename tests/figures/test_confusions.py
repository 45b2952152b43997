"""Confusions show counts and shares."""

import pandas as pd
from drawn import texts

from mnist_hpc.figures import confusions


def test_confusions_show_counts_and_the_share_that_is_right(tmp_path):
    rows = pd.DataFrame(
        [
            {"seed": seed, "label": label, "predicted": predicted, "images": images}
            for seed in (0, 1)
            for (label, predicted), images in {(0, 0): 90, (0, 1): 10, (1, 0): 0, (1, 1): 50}.items()
        ]
    )
    confusions.matrix(rows, "net", "mnist", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert "(n = 2)" in found
    assert "90.0 %" in found
    assert " 10 " in found
    confusions.matrix(rows.iloc[:0], "net", "mnist", tmp_path / "empty.svg")
    assert "no results yet" in texts(tmp_path / "empty.svg")
