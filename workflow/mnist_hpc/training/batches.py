"""Which training examples each step sees."""

from functools import lru_cache

import numpy as np


def batch_indices(seed: int, examples: int, batch: int, first: int, last: int) -> np.ndarray:
    """Return the examples that the steps ``first`` to ``last`` - 1 see, int32 (last - first, batch).

    The batches are cut from one endless stream, in which each epoch is a new permutation of the training examples, as
    in the lecture's ``next_batch``. The permutation depends on seed and epoch alone.
    """
    begin, end = first * batch, last * batch
    epochs = range(begin // examples, -(-end // examples))
    stream = np.concatenate([_permutation(seed, epoch, examples) for epoch in epochs])
    offset = epochs.start * examples
    return stream[begin - offset : end - offset].reshape(last - first, batch)


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, examples: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(examples).astype(np.int32)
