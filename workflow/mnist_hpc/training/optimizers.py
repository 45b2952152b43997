"""Keras optimisers, with learning-rate schedules that span the whole training."""

from collections.abc import Mapping
from typing import Any

import keras

# A one-cycle schedule begins at this fraction of its maximum.
ONE_CYCLE_START = 1 / 25


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
    """Return a learning-rate schedule for a training of so many steps.

    One of Keras' schedules without ``decay_steps`` ends with the training. ``OneCycle`` rises linearly for the fraction
    ``warmup`` of all steps, then falls to 0 along a cosine (L. Smith, N. Topin, arXiv 1708.07120, with a cosine instead
    of the second line).
    """
    ((name, given),) = learning_rate.items()
    arguments = _floats(given)
    if name != "OneCycle":
        rest = max(1, steps - arguments.get("warmup_steps", 0))
        return getattr(keras.optimizers.schedules, name)(**{"decay_steps": rest} | arguments)
    highest, rising = arguments["maximal_learning_rate"], round(steps * arguments.get("warmup", 0.3))
    return keras.optimizers.schedules.CosineDecay(
        highest * ONE_CYCLE_START, max(1, steps - rising), warmup_target=highest, warmup_steps=rising
    )


def _floats(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments with integers as floats, as Keras requires, except numbers of steps."""
    return {
        key: float(value) if type(value) is int and not key.endswith("steps") else value
        for key, value in arguments.items()
    }


def is_kernel(variable: keras.Variable) -> bool:
    """Return whether a variable is the kernel of a product or convolution, not a bias, scale or mean."""
    return variable.trainable and variable.name.endswith("kernel")
