"""Many steps of a training in one call, without Python in between: a graph with a loop, or one XLA program.

On a GPU nothing goes back to the host within a call. What a step needs of the host, the numbers of the examples, seeds
and the step's number, is there before it begins.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

# (examples int64 (batch,), seeds int32 (n,), number of the step int32 ()) -> float32 tensors, one for each shape.
Step = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Sequence[tf.Tensor]]


class Program:
    """A step, compiled into a function that does many of them."""

    def __init__(self, step: Step, batch: int, shapes: Sequence[tuple[int, ...]], *, xla: bool) -> None:
        """Compile a step whose results have these shapes, when it is first called.

        With ``xla`` every number of steps has a program of its own: only a loop whose end is a constant stays on a GPU
        from its first step to its last.
        """
        self._step, self._shapes = step, shapes
        signature = (
            None
            if xla
            else [tf.TensorSpec([None, batch], tf.int64), tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)]
        )
        # Without AutoGraph, which takes as long as the rest of the tracing.
        self.function = tf.function(self._loop, autograph=False, jit_compile=xla or None, input_signature=signature)

    def __call__(self, examples: np.ndarray, seeds: Sequence[int], first: int) -> list[np.ndarray]:
        """Train a step for each row of ``examples`` (steps, batch), the first of them number ``first``.

        Return the results of all steps, each float32 (steps, ...).
        """
        # TensorFlow keeps int32 in the host's memory, and int64 where it is used.
        results = self.function(
            tf.constant(examples, tf.int64), tf.constant(seeds, tf.int32), tf.constant(first, tf.int32)
        )
        return [result.numpy() for result in results]

    def _loop(self, examples: tf.Tensor, seeds: tf.Tensor, first: tf.Tensor) -> list[tf.Tensor]:
        steps = examples.shape[0] or tf.shape(examples)[0]
        results = [tf.TensorArray(tf.float32, steps, element_shape=shape) for shape in self._shapes]

        def step(number: tf.Tensor, *results: tf.TensorArray) -> tuple[tf.Tensor | tf.TensorArray, ...]:
            values = self._step(examples[number], seeds, first + number)
            return number + 1, *[result.write(number, value) for result, value in zip(results, values, strict=True)]

        _, *results = tf.while_loop(lambda number, *_: number < steps, step, (0, *results))
        return [result.stack() for result in results]
