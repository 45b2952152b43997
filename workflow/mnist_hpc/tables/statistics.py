"""Confidence intervals and tests. All intervals are 95 % intervals, (low, high), and NaN where there is none."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special, stats

Interval = tuple[float, float]
NO_INTERVAL = (math.nan, math.nan)
# Values that differ by less are equal but for rounding; accuracies differ by one image of a test set or not at all.
EQUAL = 1e-12


def interval(values: np.ndarray) -> Interval:
    """Return the interval of the mean, mean ± t(0.975, n - 1) sd / √n (Student).

    sd has n - 1 in its denominator. There is no interval for fewer than two values, or if all of them are equal: then
    they do not show how much further ones would differ.
    """
    return _around(values.mean(), *_error(values)) if len(values) else NO_INTERVAL


def accuracy_interval(values: np.ndarray) -> Interval:
    """Return the interval of the mean of accuracies, which lies between 0 and 1: Student's, on the logit scale.

    By the delta method, logit(mean) has the standard error sd / √n / (mean (1 - mean)). There is no interval where
    ``interval`` has none.
    """
    return _around_logit(values.mean(), *_error(values)) if len(values) else NO_INTERVAL


def crossed_interval(values: np.ndarray) -> Interval:
    """Return the interval of the mean of values (seeds, images) for other seeds and other images; see ``_crossed``."""
    return _around(values.mean(), *_crossed(values))


def crossed_accuracy_interval(correct: np.ndarray) -> Interval:
    """Return the interval of ``crossed_interval`` on the logit scale, for which images each seed classifies correctly.

    It is the interval of the mean accuracy of other seeds on other images.
    """
    return _around_logit(correct.mean(), *_crossed(correct))


def _error(values: np.ndarray) -> tuple[float, float]:
    """Return the standard error of the mean and its degrees of freedom; NaN if it cannot be estimated."""
    if len(values) < 2 or np.ptp(values) < EQUAL:
        return math.nan, math.nan
    return float(stats.sem(values)), len(values) - 1


def _crossed(values: np.ndarray) -> tuple[float, float]:
    """Return the standard error of the mean of values (n seeds, N images) for new seeds and images, and its freedom.

    Seeds and images are crossed: each seed sees each image. With the mean squares of a two-way analysis of variance
    without replication, (MS_seed + MS_image - MS_residual) / (n N) is an unbiased estimate of the variance of the mean.
    Its degrees of freedom are Satterthwaite's (Biometrics 2, 1946), at least one. Both are NaN for fewer than two seeds
    or images, or if the estimate is not positive.
    """
    seeds, images = values.shape
    if min(seeds, images) < 2:
        return math.nan, math.nan
    centered = values.astype(np.float64) - values.mean()
    of_seeds, of_images = centered.mean(axis=1), centered.mean(axis=0)
    sums = [images * (of_seeds**2).sum(), seeds * (of_images**2).sum()]
    freedoms = np.array([seeds - 1, images - 1, (seeds - 1) * (images - 1)])
    squares = np.array([*sums, (centered**2).sum() - sum(sums)]) / freedoms
    total = squares[0] + squares[1] - squares[2]
    if total <= 0:
        return math.nan, math.nan
    return math.sqrt(total / (seeds * images)), max(1.0, float(total**2 / (squares**2 / freedoms).sum()))


def _around(mean: float, error: float, freedom: float) -> Interval:
    """Return mean ± t(0.975) × standard error."""
    half = stats.t.ppf(0.975, freedom) * error
    return float(mean - half), float(mean + half)


def _around_logit(mean: float, error: float, freedom: float) -> Interval:
    """Return the interval around a mean between 0 and 1 on the logit scale, by the delta method."""
    if not 0 < mean < 1:
        return NO_INTERVAL
    half = stats.t.ppf(0.975, freedom) * error / (mean * (1 - mean))
    logit = special.logit(mean)
    return float(special.expit(logit - half)), float(special.expit(logit + half))


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (Q. McNemar, Psychometrika 12, 1947).

    If two classifiers are equally good, an image that only one of them classifies correctly is equally likely to be
    one of either: a binomial distribution with probability ½. The value is NaN if there is no such image.
    """
    together = only_first + only_second
    return float(stats.binomtest(only_first, together).pvalue) if together else math.nan


def holm(values: Sequence[float]) -> list[float]:
    """Return the p-values of a family of tests, adjusted for their number (S. Holm, Scand. J. Statistics 6, 1979).

    If only those below 0.05 count, the chance of one or more wrong claims in the family is at most 5 %. NaN stays NaN
    and is not counted.
    """
    order = sorted((place for place, value in enumerate(values) if not math.isnan(value)), key=values.__getitem__)
    adjusted, highest = [math.nan] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted


def wilson(correct: int, images: int) -> Interval:
    """Return the interval of a fraction of independent images (E. B. Wilson, JASA 22, 1927)."""
    return _of_fraction(correct, images, "wilson")


def exact(successes: int, trials: int) -> Interval:
    """Return the exact interval of a fraction of independent trials (Clopper and Pearson, Biometrika 26, 1934)."""
    return _of_fraction(successes, trials, "exact")


def _of_fraction(successes: int, trials: int, method: str) -> Interval:
    if not trials:
        return NO_INTERVAL
    found = stats.binomtest(successes, trials).proportion_ci(0.95, method=method)
    return float(found.low), float(found.high)
