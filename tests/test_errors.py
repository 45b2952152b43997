"""Errors as text on one line."""

from hypothesis import given
from hypothesis import strategies as st

from mnist_hpc.errors import reason


@given(st.text())
def test_any_text_is_told_on_one_line(text):
    assert len(reason(ValueError(text)).splitlines()) == 1


def test_an_error_without_text_is_told_by_its_name():
    assert reason(KeyError("a key")) == "'a key'"
    assert reason(MemoryError()) == "MemoryError"
