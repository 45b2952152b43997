"""Learning curves say what they are of."""

import pandas as pd
import pytest
from drawn import texts

from mnist_hpc.figures import curves


@pytest.mark.parametrize("seeds", [0, 1, 3])
def test_learning_curves_say_how_many_seeds_they_are_of(seeds, tmp_path):
    rows = [
        {"seed": seed, "epoch": epoch, "train_loss": 1 / (epoch + seed + 1), "validation_loss": 1.1}
        | {"train_accuracy": 0.5, "validation_accuracy": 0.6}
        for seed in range(seeds)
        for epoch in (1, 2, 3)
    ]
    columns = ["seed", "epoch", "train_loss", "validation_loss", "train_accuracy", "validation_accuracy"]
    curves.curves(pd.DataFrame(rows, columns=columns), "cnn", "mnist", "cross entropy, nats", tmp_path / "figure.svg")
    found = texts(tmp_path / "figure.svg")
    assert f"cnn on mnist: learning curves (n = {seeds})" in found
    assert ("validation" in found.replace("first validation", "")) == bool(seeds)
    assert ("failed before its first validation" in found) == (not seeds)
