"""HDF5 files: read only as they were written."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5

SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=6)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
NUMBERS = st.sampled_from([np.float32, np.float64, np.uint8, np.int64])
# A temporary folder serves all examples of a test.
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)


@one_folder
@given(st.dictionaries(NAMES, NUMBERS.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES)), max_size=4), NAMES)
def test_arrays_and_attributes_are_read_as_they_were(tmp_path: Path, named, text):
    path = tmp_path / "file.h5"
    with hdf5.writing(path, {"text": text}) as file:
        for name, array in named.items():
            file[name] = array
    with hdf5.reading(path) as file:
        assert file.attrs["text"] == text
        assert set(file) == set(named)
        for name, array in named.items():
            assert file[name].dtype == array.dtype
            assert np.array_equal(file[name][()], array, equal_nan=array.dtype.kind == "f")


@one_folder
@given(st.binary(max_size=2000))
def test_bytes_that_nobody_wrote_are_no_file(tmp_path: Path, content):
    path = tmp_path / "file.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged, or was not written"), hdf5.reading(path):
        pass


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.h5"
    with hdf5.writing(path, {"version": 1}):
        pass
    with pytest.raises(KeyboardInterrupt), hdf5.writing(path, {"version": 2}):
        raise KeyboardInterrupt
    with hdf5.reading(path) as file:
        assert file.attrs["version"] == 1


def test_a_missing_truncated_or_foreign_file_is_refused_with_its_name(tmp_path):
    path = tmp_path / "file.h5"

    def read():
        with hdf5.reading(path) as file:
            return file["images"][()]

    with pytest.raises(UserError, match=r"file\.h5: not found"):
        read()
    with hdf5.writing(path, {}) as file:
        file["images"] = np.zeros((100, 28, 28))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"file\.h5: the file is damaged"):
        read()
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(UserError, match=r"file\.h5: the file is damaged, or was not written by this project"):
        read()
    with hdf5.writing(path, {}) as file:
        file["features"] = np.zeros(3)
    with pytest.raises(UserError, match=r"file\.h5: .*images"):
        read()


@pytest.mark.parametrize("place", [0, 40, 511, 512, -1])
def test_a_single_bit_that_flips_anywhere_is_noticed(place, tmp_path):
    path = tmp_path / "file.h5"
    with hdf5.writing(path, {}) as file:
        file["images"] = np.zeros(1000)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"file\.h5: the file is damaged"), hdf5.reading(path):
        pass


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "file.h5"
    with hdf5.writing(path, {"dataset": "digits"}):
        pass
    with hdf5.reading(path, dataset="digits"):
        pass
    wrong = pytest.raises(UserError, match=r"file\.h5: found dataset digits, expected mnist")
    with wrong, hdf5.reading(path, dataset="mnist"):
        pass
