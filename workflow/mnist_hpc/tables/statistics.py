"""Confidence intervals and tests."""

import numpy as np
from scipy import stats


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % confidence interval of the mean, mean ± t(0.975, n - 1) sd / √n (Student).

    sd has n - 1 in its denominator. Both limits are NaN for fewer than two values.
    """
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (Q. McNemar, Psychometrika 12, 1947).

    If two classifiers are equally good, an image that only one of them classifies correctly is equally likely to be
    one of either: a binomial distribution with probability ½. The value is NaN if there is no such image.

    Args:
        only_first: Number of images that only the first classifies correctly.
        only_second: Number of images that only the second classifies correctly.
    """
    together = only_first + only_second
    return float(stats.binomtest(only_first, together).pvalue) if together else float("nan")


def wilson(correct: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction of independent images (E. B. Wilson, JASA 22, 1927)."""
    found = stats.binomtest(correct, images).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)
