import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist_hpc.data import idx
from mnist_hpc.errors import UserError


def test_arrays_survive_a_round_trip():
    array = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    assert np.array_equal(idx.decode(idx.encode(array), (3, 5, 4)), array)


def test_the_header_is_the_one_of_the_published_format():
    assert idx.header((60000, 28, 28)) == bytes.fromhex("00000803 0000ea60 0000001c 0000001c")
    assert idx.header((60000,)) == bytes.fromhex("00000801 0000ea60")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (idx.encode(np.zeros(4, np.uint8)), r"expected IDX uint8 \(4, 2, 2\), found IDX uint8 \(4,\)"),
        (b"<!DOCTYPE html><html>", "found no IDX header but b'<!DOCTYPE html>"),
        (b"", "found no IDX header"),
        (idx.encode(np.zeros((4, 2, 2), np.uint8))[:-1], "expected 32 bytes .* found 31"),
    ],
)
def test_a_wrong_payload_is_refused_with_what_it_is(payload, message):
    with pytest.raises(UserError, match=message):
        idx.decode(payload, (4, 2, 2))


def test_a_wrong_type_is_refused():
    floats = bytes([0, 0, 0x0D, 1]) + (4).to_bytes(4, "big") + bytes(16)
    with pytest.raises(UserError, match="found no IDX header"):
        idx.decode(floats, (4,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(bytes(100))[:-20], "cut short or damaged"),
        (b"\x1f\x8b\x08" + bytes(40), "cut short or damaged"),
        (b"<html>not found</html>", "expected a gzip file, found one that starts with b'<html>"),
        (gzip.compress(bytes(10**6)), "expected 12 bytes .* found more"),
    ],
)
def test_a_damaged_gzip_file_is_refused(tmp_path, content, message):
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        idx.decompress(path, (4,))


SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=6)


@given(arrays.arrays(np.uint8, SHAPES))
def test_any_array_survives_a_round_trip(array):
    assert np.array_equal(idx.decode(idx.encode(array), array.shape), array)


@given(st.binary(max_size=200), SHAPES)
def test_any_payload_is_decoded_to_its_shape_or_refused(payload, shape):
    if payload[: len(idx.header(shape))] == idx.header(shape) and len(payload) == idx.size(shape):
        assert idx.decode(payload, shape).shape == shape
    else:
        with pytest.raises(UserError, match=r"\A[^\n]*\Z"):
            idx.decode(payload, shape)
