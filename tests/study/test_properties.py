"""Properties that hold for whatever input: what is written is read as it was, and what is parsed means what it says."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist_hpc.data import idx
from mnist_hpc.files import hdf5, provenance
from mnist_hpc.plugins import progress
from mnist_hpc.study import grids
from mnist_hpc.tables import comparisons, ensembles
from mnist_hpc.errors import UserError, reason

SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=6)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
# A temporary folder serves all examples of a test.
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@given(arrays.arrays(np.uint8, SHAPES))
def test_an_idx_payload_is_read_as_it_was(array):
    assert np.array_equal(idx.decode(idx.encode(array), array.shape), array)


@given(st.binary(max_size=200), SHAPES)
def test_any_payload_is_decoded_to_its_shape_or_refused(payload, shape):
    if payload[: len(idx.header(shape))] == idx.header(shape) and len(payload) == idx.size(shape):
        assert idx.decode(payload, shape).shape == shape
    else:
        with pytest.raises(UserError, match=r"\A[^\n]*\Z"):
            idx.decode(payload, shape)


NUMBERS = st.sampled_from([np.float32, np.float64, np.uint8, np.int64])


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


@given(st.dictionaries(NAMES, st.lists(st.integers(), min_size=1, max_size=4, unique=True), min_size=1, max_size=4))
def test_a_grid_has_each_combination_once(grid):
    specification = {"layers": [{"Dense": {"units": 10}}], "optimizer": {"SGD": {}}, "steps": 1}
    points = grids.points(specification, grid)
    assert len(points) == math.prod(map(len, grid.values()))
    assert len({tuple(point.values.values()) for point in points}) == len(points)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_wilsons_interval_lies_around_the_fraction(right, wrong):
    if right + wrong:
        low, high = ensembles.wilson(right, right + wrong)
        assert 0 <= low <= right / (right + wrong) <= high <= 1


@given(arrays.arrays(np.float64, st.integers(2, 20), elements=st.floats(0, 1)))
def test_students_interval_lies_around_the_mean(values):
    low, high = comparisons.interval(values)
    assert low <= values.mean() + 1e-12
    assert high >= values.mean() - 1e-12


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_symmetric_and_a_probability(one, other):
    p = comparisons.mcnemar(one, other)
    assert math.isnan(p) == (one + other == 0)
    if one + other:
        assert p == pytest.approx(comparisons.mcnemar(other, one))
        assert 0 <= p <= 1 + 1e-9


@given(st.floats(0, 10**7))
def test_a_time_is_told_to_the_second_below_an_hour(seconds):
    text = progress.duration(seconds)
    unit = {"s": 1, "min": 60, "h": 3600}
    words = text.split()
    told = sum(int(number) * unit[name] for number, name in zip(words[::2], words[1::2], strict=True))
    assert abs(told - seconds) <= (0.5 if seconds < 3599 else 31)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_keys_changes_no_hash(value):
    turned = {key: value[key] for key in reversed(value)}
    assert provenance.specification_hash(value) == provenance.specification_hash(turned)


@given(st.text())
def test_text_of_a_strangers_file_is_told_on_one_line(text):
    assert len(reason(ValueError(text)).splitlines()) == 1
