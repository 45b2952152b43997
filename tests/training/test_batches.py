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


@pytest.mark.parametrize(
    ("keys", "steps", "batch"),
    [
        ({"batch_size": 30, "steps": 7}, 7, 30),
        ({"batch_size": 30, "epochs": 2}, 6, 30),
        ({"batch_size": "full", "epochs": 2}, 2, 100),
        ({"batch_size": 100, "epochs": 3}, 3, 100),
    ],
)
def test_an_epoch_is_a_pass_over_all_examples_as_far_as_batches_are_whole(keys, steps, batch):
    assert batches.steps_of(keys, 100) == steps
    assert batches.batch_of(keys, 100) == batch
