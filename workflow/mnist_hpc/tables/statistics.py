"""Intervals and tests."""

import numpy as np
from scipy import stats


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % confidence interval of the mean, mean ± t(0.975, n - 1) sd / √n (Student), sd with n - 1.

    NaN for fewer than two values.
    """
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the p-value of McNemar's exact test, two-sided.

    Among the images that exactly one of two classifiers read rightly, each is as likely to be that one if they are
    equally good: binomial with probability ½ (Q. McNemar, Psychometrika 12, 1947). NaN if there is no such image.

    Args:
        only_first: images that only the first read rightly.
        only_second: images that only the second read rightly.
    """
    together = only_first + only_second
    return float(stats.binomtest(only_first, together).pvalue) if together else float("nan")


def wilson(right: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval of a fraction of independent images (E. B. Wilson, JASA 22, 1927)."""
    found = stats.binomtest(right, images).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)
