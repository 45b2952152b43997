"""Learning-rate schedules: what they mean for a training of some length, and which of them make no sense there."""

import math
from collections.abc import Mapping
from typing import Any

from mnist_hpc.errors import UserError

# The keys that say how long a training is.
STEPS = ("steps", "epochs")
# A one-cycle schedule begins at this fraction of its maximum.
ONE_CYCLE_START = 1 / 25
# Steps at which a schedule is checked, and the fraction of its highest rate below which a rate is as good as 0.
SAMPLES = 200
NOTHING = 1e-6

Schedule = Mapping[str, Mapping[str, Any]]


def scheduled(specification: Mapping[str, Any]) -> bool:
    """Return whether the learning rate of a specification follows a schedule."""
    return any(isinstance(optimizer.get("learning_rate"), Mapping) for optimizer in specification["optimizer"].values())


def read_off(specification: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys in which points of one training may differ: none if a schedule spans the training."""
    return () if scheduled(specification) else STEPS


def of_keras(schedule: Schedule, steps: int) -> tuple[str, dict[str, Any]]:
    """Return the Keras schedule, by name and arguments, that a config's schedule is in a training of ``steps`` steps.

    One of Keras' own without ``decay_steps`` ends with the training. ``OneCycle`` rises linearly for the fraction
    ``warmup`` of all steps, then falls to 0 along a cosine (L. Smith, N. Topin, arXiv 1708.07120, with a cosine instead
    of the second line).
    """
    ((name, given),) = schedule.items()
    if name != "OneCycle":
        return name, {"decay_steps": max(1, steps - given.get("warmup_steps", 0)), **given}
    highest, rising = given["maximal_learning_rate"], round(steps * given.get("warmup", 0.3))
    arguments = {"initial_learning_rate": highest * ONE_CYCLE_START, "decay_steps": max(1, steps - rising)}
    return "CosineDecay", arguments | {"warmup_target": highest, "warmup_steps": rising}


def warmup(schedule: Schedule, steps: int) -> int:
    """Return the number of steps in which a config's schedule rises, of a training of ``steps`` steps."""
    _, arguments = of_keras(schedule, steps)
    return arguments.get("warmup_steps", 0) if "warmup_target" in arguments else 0


def rate(name: str, arguments: Mapping[str, Any], step: int) -> float:
    """Return the learning rate of a schedule of Keras, as ``of_keras`` returns it, in a step, counted from 0."""
    initial, span = arguments["initial_learning_rate"], arguments["decay_steps"]
    if name == "ExponentialDecay":
        passed = step // span if arguments.get("staircase") else step / span
        return initial * arguments["decay_rate"] ** passed
    target, alpha = arguments.get("warmup_target"), arguments.get("alpha", 0.0)
    warmup = 0 if target is None else arguments.get("warmup_steps", 0)
    if step < warmup:
        return initial + (target - initial) * step / warmup
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / span)))
    return (initial if target is None else target) * ((1 - alpha) * cosine + alpha)


def check(schedule: Schedule, steps: int) -> None:
    """Raise UserError if a schedule is 0 in most steps, never falls, or has an argument without effect."""
    ((name, given),) = schedule.items()
    pair = [key for key in ("warmup_steps", "warmup_target") if key in given]
    if len(pair) == 1:
        raise UserError(f"{name}: found {pair[0]} alone, which has no effect; expected warmup_steps and warmup_target")
    if steps == 1:
        return
    keras, arguments = of_keras(schedule, steps)
    count = min(steps, SAMPLES)
    rates = [rate(keras, arguments, place * (steps - 1) // (count - 1)) for place in range(count)]
    highest = max(rates)
    idle = sum(value <= NOTHING * highest for value in rates) / count
    if idle > 0.5:
        raise UserError(
            f"{name}: found a learning rate of 0 in {idle:.0%} of the {steps} steps, in which nothing is learned; "
            "expected larger decay_steps, or none for a decay that ends with the training"
        )
    if rates[-1] > 0.99 * highest:
        raise UserError(
            f"{name}: found a learning rate that does not fall within the {steps} steps; expected decay_steps and "
            "a warm-up that fit into them, or a number instead of a schedule"
        )
