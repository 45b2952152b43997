"""The test images that are hardest to classify."""

import os
from pathlib import Path

import numpy as np
import pytest

from mnist_hpc.data import idx
from mnist_hpc.data.splits import Split, write_split
from mnist_hpc.files import hdf5
from mnist_hpc.tables import mistakes


def predictions(path, probabilities, labels, index):
    """Write predictions of one seed as evaluation does, with these examples."""
    with hdf5.writing(path, {}) as file:
        file.create_dataset("labels", data=np.array(labels, np.uint8))
        file.create_group("seed-0").create_dataset("probabilities", data=np.array(probabilities, np.float32))
        examples = file.create_group("examples")
        examples.create_dataset("index", data=np.array(index, np.int32))
        write_split(examples, Split(np.zeros((len(index), 28, 28), np.uint8), np.array(index)))
    return path


def test_the_surest_mistakes_come_first_and_all_seeds_are_asked(tmp_path):
    labels = [0, 0, 1, 1]
    files = [
        predictions(tmp_path / "a.h5", [[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.7, 0.3]], labels, [1, 3]),
        predictions(tmp_path / "b.h5", [[0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]], labels, [1, 2]),
    ]
    hard, seeds, wrong, total = mistakes.hardest(files, 30)
    assert (seeds, wrong, total) == (2, 1, 4)
    # Image 1 is misclassified by both, image 3 by one of them; 2 is right, with less confidence than 3.
    assert [(image.index, image.label, image.predicted, image.wrong) for image in hard] == [
        *((1, 0, 1, 2), (3, 1, 1, 1), (2, 1, 1, 0))
    ]
    assert hard[0].confidence == pytest.approx(0.85)
    assert [image.index for image in mistakes.hardest(files, 2)[0]] == [1, 3]


def test_without_predictions_there_is_nothing():
    assert mistakes.hardest([], 30) == ([], 0, 0, 0)


def test_label_errors_are_known_only_where_the_test_set_is_that_of_mnist():
    assert 947 in mistakes.label_errors("mnist", 10_000)
    assert not mistakes.label_errors("mnist", 20)
    assert not mistakes.label_errors("digits", 10_000)


@pytest.mark.skipif("MNIST_DIR" not in os.environ, reason="MNIST_DIR does not name a folder with MNIST")
def test_the_labels_of_known_errors_are_those_of_the_file():
    path = Path(os.environ["MNIST_DIR"], "t10k-labels-idx1-ubyte.gz")
    labels, _ = idx.read(path, {"shape": [10_000]})
    assert {index: labels[index] for index in mistakes.LABEL_ERRORS} == mistakes.LABEL_ERRORS
