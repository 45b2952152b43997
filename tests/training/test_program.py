"""Many steps in one call: in order, whatever their number, and with XLA as a loop that ends after a known number."""

import re

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.usefixtures("tensorflow")


def summing(*, xla):
    """Return a program whose steps give their number, the sums of their examples, and a running product."""
    from mnist_hpc.training.program import Program

    state = tf.Variable(tf.eye(3))

    def step(examples, seeds, number):
        state.assign(tf.matmul(state, tf.eye(3) * 2))
        return tf.cast(number, tf.float32), tf.cast(
            tf.stack([tf.reduce_sum(examples), tf.cast(seeds[1], tf.int64)]), tf.float32
        )

    return Program(step, 2, [(), (2,)], xla=xla), state


@pytest.mark.parametrize("xla", [False, True])
def test_steps_are_done_in_order_and_their_results_returned(xla):
    program, state = summing(xla=xla)
    numbers, sums = program(np.array([[1, 2], [3, 4], [5, 6]]), [7, 8], 10)
    assert numbers.tolist() == [10, 11, 12]
    assert sums.tolist() == [[3, 8], [7, 8], [11, 8]]
    numbers, _ = program(np.array([[1, 2]]), [7, 8], 13)
    assert numbers.tolist() == [13]
    assert state[0, 0] == 2**4


def hlo(program, steps, stage):
    examples = tf.zeros([steps, 2], tf.int64)
    return program.function.experimental_get_compiler_ir(examples, tf.constant([7, 8]), tf.constant(0))(
        stage=stage, device_name="CPU:0"
    )


@pytest.mark.filterwarnings("ignore:device_name is being deprecated")  # without it, TensorFlow draws a random number
def test_xla_knows_how_many_steps_there_are_so_that_a_gpu_need_not_ask_the_host():
    program, _ = summing(xla=True)
    for steps in (5, 9):
        assert re.findall(r'"?known_trip_count"?:\{"n":"(\d+)"', hlo(program, steps, "optimized_hlo")) == [str(steps)]


@pytest.mark.filterwarnings("ignore:device_name is being deprecated")
def test_float32_products_are_computed_in_float32():
    """XLA's name of that is the highest precision; the default is TF32 on a GPU that has it."""
    program, _ = summing(xla=True)
    products = [line for line in hlo(program, 5, "hlo").splitlines() if " dot(" in line]
    assert products
    assert all("operand_precision={highest,highest}" in line for line in products)
