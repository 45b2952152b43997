"""Intervals and tests, against cases computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnist_hpc.tables import statistics


def test_the_interval_of_a_mean_is_the_one_computed_by_hand():
    # Mean 2, sd 1, n 3: t(0.975, 2) = 4.3027, so 2 ± 4.3027 / √3.
    assert statistics.interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert np.isnan(statistics.interval(np.array([1.0]))).all()


@settings(deadline=None)
@given(arrays.arrays(np.float64, st.integers(2, 20), elements=st.floats(0, 1)))
def test_students_interval_lies_around_the_mean(values):
    low, high = statistics.interval(values)
    assert low <= values.mean() + 1e-12
    assert high >= values.mean() - 1e-12


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [(0, 0, float("nan")), (1, 0, 1.0), (5, 0, 2 / 32), (0, 5, 2 / 32), (7, 1, 2 * (1 + 8) / 256), (4, 4, 1.0)],
)
def test_mcnemar_is_the_binomial_sum_computed_by_hand(only_first, only_second, expected):
    assert statistics.mcnemar(only_first, only_second) == pytest.approx(expected, nan_ok=True)


@settings(deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_symmetric_and_a_probability(one, other):
    p = statistics.mcnemar(one, other)
    assert math.isnan(p) == (one + other == 0)
    if one + other:
        assert p == pytest.approx(statistics.mcnemar(other, one))
        assert 0 <= p <= 1 + 1e-9


def test_the_interval_of_one_accuracy_is_wilsons():
    # 9,950 of 10,000: (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    assert statistics.wilson(9950, 10000) == pytest.approx((0.99341, 0.99620), abs=1e-5)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_wilsons_interval_lies_around_the_fraction(right, wrong):
    if right + wrong:
        low, high = statistics.wilson(right, right + wrong)
        assert 0 <= low <= right / (right + wrong) <= high <= 1
