"""Keras optimisers, with learning-rate schedules that span the whole training."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from mnist_hpc.study import schedules


def optimizer(specification: Mapping[str, Any], steps: int, *, xla: bool = False) -> keras.optimizers.Optimizer:
    """Return the optimiser that a variant's specification describes, for a training of ``steps`` steps.

    ``xla`` says whether it will be compiled by XLA, which rounds a schedule's cosine differently.
    """
    ((name, arguments),) = specification["optimizer"].items()
    given = _floats(arguments)
    if isinstance(given.get("learning_rate"), Mapping):
        given["learning_rate"] = Table(schedule(given["learning_rate"], steps), steps, xla=xla)
    return getattr(keras.optimizers, name)(**given)


class Table(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule as a table of its values: Keras' own branch, and on a GPU a branch asks the host in every step."""

    def __init__(
        self, schedule: keras.optimizers.schedules.LearningRateSchedule, steps: int, *, xla: bool = False
    ) -> None:
        """Compute the learning rates of a schedule at each step, float32 (steps,), by XLA or without."""

        def rates() -> tf.Tensor:
            return tf.map_fn(schedule, tf.range(steps), fn_output_signature=tf.float32)

        with tf.device("CPU"):
            values = tf.function(rates, autograph=False, jit_compile=xla or None)().numpy()
        # As a variable it stays out of the graph, and where it is used.
        self.values: tf.Variable = tf.Variable(values, trainable=False)

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate of a step, counted from 0."""
        return tf.gather(self.values, step)


def schedule(
    learning_rate: Mapping[str, Mapping[str, Any]], steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return Keras' learning-rate schedule for a training of ``steps`` steps, see ``schedules.of_keras``."""
    name, arguments = schedules.of_keras(learning_rate, steps)
    return getattr(keras.optimizers.schedules, name)(**_floats(arguments))


def _floats(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with integers as floats, as Keras requires, except numbers of steps."""
    return {
        key: float(value) if type(value) is int and not key.endswith("steps") else value
        for key, value in arguments.items()
    }


def is_kernel(variable: keras.Variable) -> bool:
    """Return whether a variable is the kernel of a product or convolution, not a bias, scale or mean."""
    return variable.trainable and variable.name.endswith("kernel")
