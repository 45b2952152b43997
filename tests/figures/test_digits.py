"""The digits that are hardest to read."""

import numpy as np
from drawn import texts

from mnist_hpc.figures import digits
from mnist_hpc.tables.mistakes import Hard


def hard(index, label, predicted, confidence=0.85, wrong=2):
    return Hard(index, np.zeros((28, 28), np.uint8), label, predicted, confidence, wrong)


def test_an_image_stands_with_its_class_what_it_is_taken_for_and_by_how_many_seeds(tmp_path):
    digits.gallery([hard(1, label=0, predicted=1)], "title", 3, tmp_path / "figure.svg", errors={})
    assert "0 → 1 85% 2 of 3" in texts(tmp_path / "figure.svg")


def test_a_label_error_is_framed_only_where_the_file_has_that_label(tmp_path):
    for label, name in ((8, "known"), (9, "corrected")):
        digits.gallery([hard(947, label, 3)], "title", 3, tmp_path / f"{name}.svg", errors={947: 8})
    assert "known label error" in texts(tmp_path / "known.svg")
    assert "known label error" not in texts(tmp_path / "corrected.svg")


def test_a_variant_without_results_has_an_empty_figure(tmp_path):
    digits.gallery([], "title", 0, tmp_path / "figure.svg", errors={})
    assert "no results yet" in texts(tmp_path / "figure.svg")
