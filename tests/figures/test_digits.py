"""The digits that are hardest to read."""

import numpy as np
import pytest
from drawn import texts

from mnist_hpc.data.splits import Split, write_split
from mnist_hpc.figures import digits
from mnist_hpc.files import hdf5


def predictions(path, probabilities, labels, index):
    """Write predictions of one seed as evaluation does, with these examples."""
    with hdf5.writing(path, {}) as file:
        file.create_dataset("labels", data=np.array(labels, np.uint8))
        file.create_group("seed-0").create_dataset("probabilities", data=np.array(probabilities, np.float32))
        examples = file.create_group("examples")
        examples.create_dataset("index", data=np.array(index, np.int32))
        write_split(examples, Split(np.zeros((len(index), 28, 28), np.uint8), np.array(index)))


def test_the_surest_mistakes_come_first_and_all_seeds_are_asked(tmp_path):
    labels = [0, 0, 1, 1]
    predictions(tmp_path / "a.h5", [[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.7, 0.3]], labels, [1, 3])
    predictions(tmp_path / "b.h5", [[0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]], labels, [1, 2])
    hard, seeds, wrong, total = digits.hardest([tmp_path / "a.h5", tmp_path / "b.h5"])
    assert (seeds, wrong, total) == (2, 1, 4)
    # Image 1 is misclassified by both, image 3 by one of them; 2 is right, with less confidence than 3.
    assert [(image.index, image.predicted, image.wrong) for image in hard] == [(1, 1, 2), (3, 1, 1), (2, 1, 0)]
    assert hard[0].confidence == pytest.approx(0.85)
    digits.gallery(hard, "title", seeds, tmp_path / "figure.svg", errors_known=False)
    assert "0 → 1 85% 2 of 2" in texts(tmp_path / "figure.svg")


def test_label_errors_are_framed_only_where_the_test_set_is_that_of_mnist(tmp_path):
    image = digits.Hard(947, np.zeros((28, 28), np.uint8), 8, 9, 0.9, 1)
    digits.gallery([image], "title", 1, tmp_path / "mnist.svg", errors_known=True)
    digits.gallery([image], "title", 1, tmp_path / "other.svg", errors_known=False)
    assert "known label error" in texts(tmp_path / "mnist.svg")
    assert "known label error" not in texts(tmp_path / "other.svg")
