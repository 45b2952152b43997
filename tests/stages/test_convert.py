"""Conversion: raw files become train.h5 and test.h5, and equal data has an equal hash."""

import gzip
import json

import h5py
import numpy as np
import pytest

from conftest import call, error_line, tiny_entry
from mnist_hpc.data import idx
from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5
from mnist_hpc.stages import convert
from mnist_hpc.study.layout import RAW_FILES


@pytest.fixture
def raw(tiny):
    """Return the folder of ``tiny`` with the files under the names that convert expects."""
    for key, file in tiny_entry()["files"].items():
        (tiny / file["name"]).rename(tiny / RAW_FILES[key])
    return tiny


def converted(raw, **changes):
    convert.run("tiny", "idx_files", tiny_entry(**changes), raw)


def test_idx_files_become_train_validation_and_test(raw):
    converted(raw)
    images = idx.decode(idx.decompress(raw / RAW_FILES["train_images"], (40, 28, 28)), (40, 28, 28))
    labels = idx.decode(idx.decompress(raw / RAW_FILES["train_labels"], (40,)), (40,))
    with h5py.File(raw / "train.h5") as file:
        assert np.array_equal(file["validation/images"], images[:10])
        assert np.array_equal(file["validation/labels"], labels[:10])
        assert np.array_equal(file["train/images"], images[10:])
        assert np.array_equal(file["train/labels"], labels[10:])
        assert file["train/images"].dtype == file["train/labels"].dtype == np.uint8
        assert len(file.attrs["sha256_train_images"]) == 64
        assert "test" not in file
    with h5py.File(raw / "test.h5") as file:
        assert file["images"].shape == (20, 28, 28)
        assert file["labels"].shape == (20,)


def test_a_label_outside_the_classes_is_refused_and_nothing_is_written(raw):
    labels = np.zeros(40, np.uint8)
    labels[7] = 11
    (raw / RAW_FILES["train_labels"]).write_bytes(gzip.compress(idx.encode(labels)))
    options = ("--dataset", "tiny", "--source", "idx_files", "--entry", json.dumps(tiny_entry()), "--folder", raw)
    assert "label 11 at position 7, expected labels from 0 to 9" in error_line(call("convert", *options))
    assert not list(raw.glob("*.h5"))
    assert not list(raw.glob(".*"))


def test_a_missing_raw_file_is_named(raw):
    (raw / RAW_FILES["test_labels"]).unlink()
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz: not found"):
        converted(raw)


def test_the_same_data_has_the_same_hash_wherever_it_came_from(raw):
    def data_hash(name):
        with hdf5.reading(raw / name) as file:
            return file.attrs["data_hash"]

    converted(raw)
    before = data_hash("train.h5")
    images = raw / RAW_FILES["test_images"]
    images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes()), compresslevel=1))
    converted(raw)
    assert data_hash("train.h5") == before
    converted(raw, validation=11)
    assert data_hash("test.h5") != before
