"""Which points of a sweep are trained together as one pack."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnist_hpc.study.grids import Point, shared
from mnist_hpc.study.layers import LAYERS, names
from mnist_hpc.study.schedules import STEPS, read_off, scheduled
from mnist_hpc.training.models import PREDICTION_BATCH

# Keys in which settings of a pack may differ. Those that differ in their steps are points of one training.
PACKABLE = (*STEPS, "learning_rate", "l2", "initial_scale")
# Arguments of each optimiser that a pack heeds. It calls the optimiser's step itself and would silently ignore others:
# clipping, decay and average of the weights. AdamW decays the weights by the one learning rate it knows.
OPTIMIZERS = {
    "SGD": {"learning_rate", "momentum", "nesterov"},
    "RMSprop": {"learning_rate", "rho", "momentum", "epsilon", "centered"},
    "Adagrad": {"learning_rate", "initial_accumulator_value", "epsilon"},
    "Adam": {"learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad"},
}
# Weights, gradients and the averages of the optimiser.
COPIES = 5


def packable(specification: Mapping[str, Any]) -> bool:
    """Return whether a variant's settings can be trained as one pack; otherwise each is trained alone.

    Convolutions are not packed: with filters of its own for each setting, TensorFlow computes one setting after the
    other. Packs compute in float32.
    """
    layers = names(specification["layers"])
    first = layers.index("Dense")
    ((optimizer, arguments),) = specification["optimizer"].items()
    return (
        all(LAYERS[name].packed for name in layers[:first])
        and all(LAYERS[name].packed == "anywhere" for name in layers[first:])
        and optimizer in OPTIMIZERS
        and {key for key, value in arguments.items() if value} <= OPTIMIZERS[optimizer]
        and not scheduled(specification)
        and not specification.get("augmentation")
        and specification.get("dtype_policy", "float32") == "float32"
    )


def free_keys(specification: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys in which settings of one pack may differ."""
    if not packable(specification):
        return read_off(specification)
    # The other optimisers have one momentum for all weights.
    return (*PACKABLE, "momentum") if "SGD" in specification["optimizer"] else PACKABLE


def bytes_per_setting(specification: Mapping[str, Any], shape: tuple[int, ...]) -> int:
    """Return roughly how much memory one setting of a pack takes, bytes, for examples of this shape."""
    widths = [layer["Dense"]["units"] for layer in specification["layers"] if "Dense" in layer]
    weights = sum((inputs + 1) * units for inputs, units in zip([math.prod(shape), *widths], widths, strict=False))
    batch = specification["batch_size"] if specification["batch_size"] != "full" else 60_000
    return 4 * (COPIES * weights + 3 * max(batch, PREDICTION_BATCH) * sum(widths))


@dataclass(frozen=True)
class Pack:
    """Points that are trained together with one seed."""

    settings: tuple[tuple[Point, ...], ...]  # groups of points that differ in their steps alone
    seed: int

    def only(self, points: Collection[int]) -> "Pack":
        """Return the pack with the settings whose points, given by place, go on."""
        return Pack(tuple(same for same in self.settings if {point.place for point in same} & {*points}), self.seed)


def packs(points: Sequence[Point], seeds: Sequence[int], shape: tuple[int, ...], memory: int) -> list[Pack]:
    """Return the packs of a sweep, always the same and in the same order, whatever the number of jobs.

    A pack may take so much memory (bytes) for examples of this shape; it holds at least one setting.
    """
    groups: dict[str, dict[str, list[Point]]] = {}
    for point in points:
        known = point.specification
        together, same = shared(known, free_keys(known)), shared(known, read_off(known))
        groups.setdefault(together, {}).setdefault(same, []).append(point)
    found = []
    for group in groups.values():
        settings = [tuple(same) for same in group.values()]
        size = max(1, memory // bytes_per_setting(settings[0][0].specification, shape))
        shares = -(-len(settings) // size)
        size = -(-len(settings) // shares)  # of equal size
        for begin in range(0, len(settings), size):
            pack = tuple(settings[begin : begin + size])
            found += [Pack(pack, seed) for seed in seeds]
    return found
