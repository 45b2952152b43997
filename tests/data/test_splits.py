"""Examples in HDF5: only those of the right shape and type are read."""

import h5py
import numpy as np
import pytest

from mnist_hpc.data.splits import Split, read_split, read_test, read_training, write_split
from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5


def test_training_and_test_files_are_read_as_they_were_written(digits, digit_splits):
    attributes, train, validation = read_training(digits / "train.h5")
    for found, expected in zip((train, validation), digit_splits, strict=True):
        assert np.array_equal(found.inputs, expected.inputs)
        assert np.array_equal(found.labels, expected.labels)
    of_test, test = read_test(digits / "test.h5")
    assert attributes == of_test == {"dataset": "digits", "data_hash": attributes["data_hash"], "classes": 10}
    assert len(test.labels) == 360


def test_files_hold_no_time_so_the_same_content_is_the_same_bytes(tmp_path):
    with hdf5.writing(tmp_path / "file.h5", {"a": 1}) as file:
        write_split(file.create_group("train"), Split(np.zeros((2, 28, 28), np.uint8), np.zeros(2)))
    with hdf5.reading(tmp_path / "file.h5") as file:
        for name in (b".", b"train", b"train/images"):
            assert h5py.h5g.get_objinfo(file.id, name).mtime == 0


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [
        (np.zeros((3, 28, 28), np.float32), np.zeros(3, np.uint8)),
        (np.zeros((3, 28, 27), np.uint8), np.zeros(3, np.uint8)),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(2, np.uint8)),
        (np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)),
        (np.zeros((3, 3), np.float32), np.zeros(3, np.uint8)),
        (np.full((3, 2), np.nan, np.float32), np.zeros(3, np.uint8)),
    ],
)
def test_examples_of_another_shape_or_type_are_refused(inputs, labels, tmp_path):
    path = tmp_path / "file.h5"
    with hdf5.writing(path, {}) as file:
        write_split(file.create_group("train"), Split(inputs, labels))
    with pytest.raises(UserError, match=r"file\.h5: /train: found "), hdf5.reading(path) as file:
        read_split(file["train"])


def test_a_label_that_is_no_class_is_refused(digits, tmp_path):
    with hdf5.reading(digits / "test.h5") as file:
        attributes, split = dict(file.attrs), read_split(file)
    with hdf5.writing(tmp_path / "test.h5", attributes) as file:
        write_split(file, Split(split.inputs, split.labels + 1))
    with pytest.raises(UserError, match=r"test\.h5: found the label 10, expected 0 to 9"):
        read_test(tmp_path / "test.h5")
