"""Keras optimisers, with learning-rate schedules that span the whole training."""

from collections.abc import Mapping
from typing import Any

import keras

from mnist_hpc.study import schedules


def optimizer(specification: Mapping[str, Any], steps: int) -> keras.optimizers.Optimizer:
    """Return the optimiser that a variant's specification describes, for a training of so many steps."""
    ((name, arguments),) = specification["optimizer"].items()
    given = _floats(arguments)
    if isinstance(given.get("learning_rate"), Mapping):
        given["learning_rate"] = schedule(given["learning_rate"], steps)
    return getattr(keras.optimizers, name)(**given)


def schedule(
    learning_rate: Mapping[str, Mapping[str, Any]], steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return Keras' learning-rate schedule for a training of so many steps, see ``schedules.of_keras``."""
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
