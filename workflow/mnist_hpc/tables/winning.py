"""How sure the choice of a sweep is: how often each finalist would win if seeds and images were drawn again."""

from collections.abc import Sequence

import numpy as np

REPEATS = 2000


def wins(losses: Sequence[np.ndarray]) -> list[float]:
    """Return for each finalist the share of resampled sweeps in which its mean loss is the lowest.

    Seeds and validation examples are both drawn with replacement, the same ones for all finalists, as they share them
    (A. Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1, 2007).

    Args:
        losses: Losses of each finalist, float32 (seeds, examples).
    """
    values = np.stack(losses).astype(np.float64)
    generator, (_, seeds, examples) = np.random.default_rng(0), values.shape
    won = np.zeros(len(values))
    for _ in range(REPEATS):
        of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds))
        of_examples = generator.multinomial(examples, np.full(examples, 1 / examples))
        sums = values @ of_examples @ of_seeds
        lowest = sums == sums.min()
        won += lowest / lowest.sum()  # equal ones share it
    return (won / REPEATS).tolist()
