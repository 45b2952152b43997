import gzip
import json

import h5py
import numpy as np
import pytest

from conftest import error_line, run, tiny_entry
from mnist_hpc.data import datasets, idx
from mnist_hpc.files import hdf5
from mnist_hpc.data.datasets import BUILT_IN, RAW
from mnist_hpc.errors import UserError


@pytest.fixture
def raw(tiny):
    """Return the folder of ``tiny`` with the files under the names that convert expects."""
    for key, file in tiny_entry()["files"].items():
        (tiny / file["name"]).rename(tiny / RAW[key])
    return tiny


def test_idx_files_become_train_validation_and_test(raw):
    datasets.convert("tiny", tiny_entry(), raw)
    images = idx.decode(idx.decompress(raw / RAW["train_images"], (40, 28, 28)), (40, 28, 28))
    labels = idx.decode(idx.decompress(raw / RAW["train_labels"], (40,)), (40,))
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
    (raw / RAW["train_labels"]).write_bytes(gzip.compress(idx.encode(labels)))
    arguments = ("convert", "--dataset", "tiny", "--entry", json.dumps(tiny_entry()), "--folder", raw)
    assert "label 11 at position 7, expected labels from 0 to 9" in error_line(run(*arguments))
    assert not list(raw.glob("*.h5"))
    assert not list(raw.glob(".*"))


def test_a_missing_raw_file_is_named(raw):
    (raw / RAW["test_labels"]).unlink()
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz: not found"):
        datasets.convert("tiny", tiny_entry(), raw)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_data_set_is_what_the_config_check_believes(name):
    facts, splits = BUILT_IN[name], BUILT_IN[name].make()
    assert len(splits["train"].labels) == facts.train_examples
    assert set(splits["train"].labels) == set(range(facts.classes))
    assert splits["train"].inputs.shape[1:] == facts.input_shape[:2]
    again = BUILT_IN[name].make()
    assert all(np.array_equal(splits[part].inputs, again[part].inputs) for part in splits)


def test_digits_look_like_mnist():
    images = np.concatenate([split.inputs for split in datasets.digits().values()])
    assert images.shape == (1797, 28, 28)
    assert images.max() == 255
    border = np.ones((28, 28), bool)
    border[4:24, 4:24] = False
    assert not images[:, border].any()


def test_interpolated_digits_keep_their_brightness():
    from sklearn.datasets import load_digits

    splits = datasets.digits()
    images = np.concatenate([splits[part].inputs for part in ("validation", "train", "test")])
    # Interior pixels are spread evenly by the interpolation, so the mean over the box stays the same but at the rim.
    ours, theirs = images[:, 4:24, 4:24].mean() / 255, load_digits().images.mean() / 16
    assert ours == pytest.approx(theirs, rel=0.03)


def test_no_line_parts_the_circle_and_the_classes_do_not_touch():
    split = datasets.circle()["train"]
    radius = np.hypot(*split.inputs.T)
    assert radius[split.labels == 0].max() <= 1
    assert radius[split.labels == 1].min() >= 1.6 - 1e-6


def test_the_same_data_has_the_same_hash_wherever_it_came_from(raw):
    datasets.convert("tiny", tiny_entry(), raw)
    (raw / RAW["test_images"]).write_bytes(
        gzip.compress(gzip.decompress((raw / RAW["test_images"]).read_bytes()), compresslevel=1)
    )
    with hdf5.reading(raw / "train.h5") as file:
        before = file.attrs["data_hash"]
    datasets.convert("tiny", tiny_entry(), raw)
    with hdf5.reading(raw / "train.h5") as file:
        assert file.attrs["data_hash"] == before
    datasets.convert("tiny", tiny_entry(validation=11), raw)
    with hdf5.reading(raw / "test.h5") as file:
        assert file.attrs["data_hash"] != before


def test_a_data_set_that_nobody_knows_is_refused(tmp_path):
    assert "found the data set 'nosuch', expected one of digits, " in error_line(
        run("convert", "--dataset", "nosuch", "--folder", tmp_path)
    )
