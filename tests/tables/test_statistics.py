"""Intervals and tests, against cases computed by hand."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from mnist_hpc.tables import statistics


def test_the_interval_of_a_mean_is_the_one_computed_by_hand():
    # Mean 2, sd 1, n 3: t(0.975, 2) = 4.3027, so 2 ± 4.3027 / √3.
    assert statistics.interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)


# A thousand images: accuracies and their differences are multiples of 0.001, but for rounding.
@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0], [0.9, 0.9, 0.9], [0.9 - 0.8, 0.8 - 0.7, 0.7 - 0.6]], ids=str)
def test_equal_values_and_single_ones_have_no_interval(values):
    for kind in (statistics.interval, statistics.accuracy_interval):
        assert np.isnan(kind(np.array(values))).all()


@given(arrays.arrays(np.float64, st.integers(2, 20), elements=st.floats(0, 1)))
@example(np.array([1, 1, 1, 1, 0.999]))
@example(np.array([0, 0, 0, 0, 1.0]))
def test_intervals_lie_around_the_mean_and_those_of_accuracies_between_0_and_1(values):
    if math.isnan(statistics.interval(values)[0]):
        return
    for low, high in (statistics.interval(values), statistics.accuracy_interval(values)):
        assert low <= values.mean() + 1e-12
        assert high >= values.mean() - 1e-12
    assert 0 <= low <= high <= 1


@pytest.mark.parametrize("seeds", [5, 10])
def test_nineteen_of_twenty_intervals_hold_the_mean_of_many_more_seeds(seeds):
    random, mean, trials = np.random.default_rng(seeds), 0.99, 4000
    accuracies = random.beta(1000 * mean, 1000 * (1 - mean), (trials, seeds))  # sd 0.003
    intervals = np.array([statistics.accuracy_interval(row) for row in accuracies])
    coverage = np.mean((intervals[:, 0] <= mean) & (mean <= intervals[:, 1]))
    # Three standard deviations of a share of 4,000, and what the approximation costs with five seeds.
    assert 0.935 <= coverage <= 0.961


def crossed(random, seeds, images):
    """Return which images each seed classifies correctly: some seeds are better, and some images easier."""
    skill, ease = 0.2 * random.standard_normal((seeds, 1)), 2 * random.standard_normal((1, images))
    return 4 + skill + ease + random.standard_normal((seeds, images)) > 0


def crossed_difference(random, seeds, images):
    """Return who is correct alone, 1 or -1, of two variants with the same seeds and images."""
    ease = 2 * random.standard_normal((1, images))
    one = 3 + 0.15 * random.standard_normal((seeds, 1)) + ease + random.standard_normal((seeds, images))
    other = 2.9 + 0.1 * random.standard_normal((seeds, 1)) + ease + 0.7 * random.standard_normal((1, images))
    return (one > 0).astype(np.int8) - (other + random.standard_normal((seeds, images)) > 0)


@pytest.mark.parametrize(
    ("draw", "kind"),
    [(crossed, statistics.crossed_accuracy_interval), (crossed_difference, statistics.crossed_interval)],
)
def test_the_crossed_variance_is_that_of_new_seeds_and_new_images(draw, kind):
    random = np.random.default_rng(0)
    drawn = [draw(random, 5, 400) for _ in range(20_000)]  # so many give the truth to 1 %
    means = np.array([values.mean() for values in drawn])
    estimated = np.mean([statistics._crossed(values)[0] ** 2 for values in drawn])
    assert 0.97 <= estimated / means.var(ddof=1) <= 1.12
    intervals = np.array([kind(values) for values in drawn[:4000]])
    assert 0.93 <= np.mean((intervals[:, 0] <= means.mean()) & (means.mean() <= intervals[:, 1])) <= 0.965
    # The interval over seeds alone does not say where the mean lies on other images.
    seeds = np.array([values.mean(axis=1) for values in drawn[:4000]])
    half = stats.t.ppf(0.975, 4) * seeds.std(axis=1, ddof=1) / np.sqrt(5)  # as statistics.interval, for all at once
    assert statistics.interval(seeds[0]) == pytest.approx((seeds[0].mean() - half[0], seeds[0].mean() + half[0]))
    assert np.mean(np.abs(seeds.mean(axis=1) - means.mean()) <= half) < 0.925


@pytest.mark.parametrize(("seeds", "expected"), [(5, (0.925, 0.965)), (2, (0.85, 0.91))])
def test_intervals_for_new_seeds_and_images_hold_the_mean_as_often_as_the_pages_say(seeds, expected):
    random, trials, images = np.random.default_rng(seeds), 2000, 50
    held = 0
    for _ in range(trials):  # four fifths of the variance of the mean, 0, come from the seeds
        noise = random.standard_normal((1, images)) + random.standard_normal((seeds, images))
        skill = np.sqrt(4 * seeds * (1 / images + 1 / (seeds * images))) * random.standard_normal((seeds, 1))
        low, high = statistics.crossed_interval(skill + noise)
        held += low <= 0 <= high
    assert expected[0] <= held / trials <= expected[1]  # three standard deviations


def test_seeds_that_are_equally_good_on_other_images_have_an_interval_for_new_images():
    correct = np.ones((2, 100), bool)
    correct[0, :3] = correct[1, 2:5] = False
    assert np.isnan(statistics.accuracy_interval(correct.mean(axis=1))).all()
    low, high = statistics.crossed_accuracy_interval(correct)
    assert 0 < low < 0.97 < high < 1


def test_the_crossed_variance_is_the_one_computed_by_hand():
    # Two seeds, three images. Mean ½; seeds ⅔ and ⅓: SS 2·3/36 = 1/6; images 1, ½, 0: SS 2·(¼ + ¼) = 1; total 6/4, so
    # the residual is 1/3. MS: 1/6, ½, 1/6; so ½ / 6, and the degrees of freedom ¼ / (1/36 + ¼/2 + 1/72).
    error, freedom = statistics._crossed(np.array([[1, 1, 0], [1, 0, 0]], bool))
    assert error == pytest.approx(math.sqrt(0.5 / 6))
    assert freedom == pytest.approx(0.25 / (1 / 36 + 1 / 8 + 1 / 72))


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 12))))
def test_the_interval_for_new_seeds_and_images_is_one_of_accuracies_or_none(correct):
    low, high = statistics.crossed_accuracy_interval(correct)
    assert math.isnan(low) == math.isnan(high)
    assert math.isnan(low) or 0 <= low <= correct.mean() <= high <= 1


def test_one_seed_and_nets_that_are_always_right_say_nothing_of_other_seeds_and_images():
    for values in (np.ones((5, 10), bool), np.zeros((5, 10), bool), np.array([[True, False]])):
        assert np.isnan(statistics.crossed_accuracy_interval(values)).all()


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [(0, 0, float("nan")), (1, 0, 1.0), (5, 0, 2 / 32), (0, 5, 2 / 32), (7, 1, 2 * (1 + 8) / 256), (4, 4, 1.0)],
)
def test_mcnemar_is_the_binomial_sum_computed_by_hand(only_first, only_second, expected):
    assert statistics.mcnemar(only_first, only_second) == pytest.approx(expected, nan_ok=True)


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


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_wilsons_interval_lies_around_the_fraction(right, wrong):
    if right + wrong:
        low, high = statistics.wilson(right, right + wrong)
        assert 0 <= low <= right / (right + wrong) <= high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(0, 40), (38, 40), (40, 40), (1, 1), (0, 5), (5, 5)])
def test_the_exact_interval_has_the_tails_of_the_binomial_distribution(successes, trials):
    low, high = statistics.exact(successes, trials)
    if successes:
        assert stats.binom.sf(successes - 1, trials, low) == pytest.approx(0.025)  # so many or more
    if successes < trials:
        assert stats.binom.cdf(successes, trials, high) == pytest.approx(0.025)  # so many or fewer
    assert (low == 0, high == 1) == (successes == 0, successes == trials)


def test_there_is_no_share_of_no_trials():
    assert np.isnan(statistics.exact(0, 0)).all()


def test_holm_corrects_as_computed_by_hand():
    # Smallest first: 4 × 0.01, 3 × 0.02, then 2 × 0.02 and 1 × 0.04, which must not fall below the one before.
    assert statistics.holm([0.04, 0.01, math.nan, 0.02, 0.02]) == pytest.approx(
        [0.06, 0.04, math.nan, 0.06, 0.06], nan_ok=True
    )
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]
    assert statistics.holm([]) == []
