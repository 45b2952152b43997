"""How often a finalist would win, compared with cases in which that is known."""

import numpy as np
import pytest
from scipy.stats import binom

from mnist_hpc.tables import winning

# Four standard deviations of a share of 2,000 resampled sweeps.
NEAR = 4 * np.sqrt(0.25 / winning.REPEATS)


def test_the_better_one_of_two_that_never_overlap_always_wins():
    random = np.random.default_rng(0).random((5, 200), np.float32)
    assert winning.wins([random + 1, random, random + 2]) == [0, 1, 0]


def test_equal_finalists_share_the_wins():
    random = np.random.default_rng(0).random((5, 200), np.float32)
    assert winning.wins([random, random, random + 1]) == [0.5, 0.5, 0]
    assert winning.wins([random]) == [1]


def test_images_are_drawn_with_replacement():
    """One is better on 55 of 101 images by as much as it is worse on the others: it wins if more than half are such."""
    difference = np.where(np.arange(101) < 55, 1, -1).astype(np.float32)
    expected = binom.sf(50, 101, 55 / 101)
    first, second = winning.wins([np.zeros((3, 101), np.float32), np.tile(difference, (3, 1))])
    assert first == pytest.approx(expected, abs=NEAR)
    assert first + second == pytest.approx(1)


def test_seeds_are_drawn_with_replacement():
    """The same for 3 of 5 seeds."""
    difference = np.array([1, 1, 1, -1, -1], np.float32)[:, np.newaxis]
    first, _ = winning.wins([np.zeros((5, 50), np.float32), np.repeat(difference, 50, axis=1)])
    assert first == pytest.approx(binom.sf(2, 5, 3 / 5), abs=NEAR)


def test_both_are_drawn_in_one_resampled_sweep():
    """Compared with a bootstrap that lists its seeds and images."""
    generator = np.random.default_rng(1)
    losses = (
        generator.random((3, 4, 60)) + generator.normal(0, 0.1, (3, 4, 1)) + np.array([0, 0.02, 0.05]).reshape(3, 1, 1)
    )
    won = np.zeros(3)
    for _ in range(4000):
        seeds, images = generator.integers(4, size=4), generator.integers(60, size=60)
        won[losses[:, seeds][:, :, images].mean(axis=(1, 2)).argmin()] += 1 / 4000
    assert winning.wins(list(losses.astype(np.float32))) == pytest.approx(won.tolist(), abs=1.5 * NEAR)


def test_the_same_losses_have_the_same_wins():
    losses = list(np.random.default_rng(2).random((3, 5, 100), np.float32))
    assert winning.wins(losses) == winning.wins(losses)
