"""Which examples each step sees."""

import numpy as np
import pytest

from mnist_hpc.training import batches


def test_every_image_is_seen_once_an_epoch_in_an_order_of_its_own():
    stream = batches.batch_indices(0, 10, 4, 0, 5).ravel()
    assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))
    assert list(stream[:10]) != list(stream[10:])
    assert not np.array_equal(stream, batches.batch_indices(1, 10, 4, 0, 5).ravel())


@pytest.mark.parametrize("cut", [1, 2, 3, 7])
def test_batches_do_not_depend_on_where_the_loop_is_cut(cut):
    whole = batches.batch_indices(3, 10, 4, 0, 8)
    parts = [batches.batch_indices(3, 10, 4, 0, cut), batches.batch_indices(3, 10, 4, cut, 8)]
    assert np.array_equal(np.concatenate(parts), whole)
