"""Train all points of a sweep, packed as far as that pays, and rank them by validation loss."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_hpc.data.splits import Split
from mnist_hpc.errors import Interrupted
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study.grids import Point, shared, text
from mnist_hpc.training import loop, packs
from mnist_hpc.training.checkpoint import Checkpoint
from mnist_hpc.training.trainer import CompiledLoop, Trainer, finished

Row = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """What is trained at once: some points with one seed.

    Attributes:
        settings: the points, grouped: those of a group differ in their steps alone.
        seed: of all of them.
    """

    settings: tuple[tuple[Point, ...], ...]
    seed: int


def units(points: Sequence[Point], seeds: int, shape: tuple[int, ...], memory: int) -> list[Unit]:
    """Return how a sweep is cut, in an order that depends on nothing else: the same however many jobs share it.

    Args:
        points: of the grid.
        seeds: how many, counted from 0.
        shape: of one example.
        memory: that a unit may take, bytes; at least one setting is trained at once.
    """
    groups: dict[str, dict[str, list[Point]]] = {}
    for point in points:
        known = point.specification
        together, same = shared(known, packs.free_keys(known)), shared(known, packs.read_off(known))
        groups.setdefault(together, {}).setdefault(same, []).append(point)
    found = []
    for group in groups.values():
        settings = [tuple(same) for same in group.values()]
        size = max(1, memory // packs.bytes_a_setting(settings[0][0].specification, shape))
        parts = -(-len(settings) // size)
        size = -(-len(settings) // parts)  # parts of equal size
        for begin in range(0, len(settings), size):
            pack = tuple(settings[begin : begin + size])
            found += [Unit(pack, seed) for seed in range(seeds)]
    return found


def train(
    found: Sequence[Unit],
    train: Split,
    validation: Split,
    folder: Path,
    tell: Callable[[str], None],
    stop: Callable[[], bool],
    threads: int = 1,
    checkpoint_seconds: float = 60.0,
) -> list[Row]:
    """Train units; return a row for each point (``point``) and seed with its values, steps, status and validation.

    Args:
        found: to train.
        train: training examples.
        validation: validation examples.
        folder: for checkpoints, of this sweep, data and code alone.
        tell: Receives lines of progress.
        stop: asked about every second; True ends the training.
        threads: CPU threads of the job.
        checkpoint_seconds: how often to save.

    Raises:
        Interrupted: ``stop`` said so; what was done is saved.
    """
    training: Trainer | None = None
    rows = []
    for number, unit in enumerate(found, start=1):
        if number == 1 or unit.settings is not found[number - 2].settings:
            training = None  # it serves all seeds of the same points
            gc.collect()  # a compiled loop is a circle of references, and holds the data
        label = f"pack {number} of {len(found)}"

        def report(line: str, label: str = label) -> None:
            tell(f"{label}, {line}")

        name = specification_hash([[point.specification for point in same] for same in unit.settings])
        checkpoint = Checkpoint(folder / f"{name}-seed-{unit.seed}.h5", checkpoint_seconds)
        steps = [[_steps(point, train) for point in same] for same in unit.settings]
        done = finished(checkpoint, report)
        if done is None:
            training = training or Trainer(_compiled(unit, train, threads), validation, set().union(*steps))
            try:
                done = training.train(unit.seed, report, checkpoint, stop)
            except Interrupted as interruption:
                raise Interrupted(f"{label}, {interruption}") from None
        for setting, same in enumerate(unit.settings):
            for point, step in zip(same, steps[setting], strict=True):
                values = {key: text(value) for key, value in point.values.items()}
                rows.append({**done[0].result(step, setting), **values, "seed": unit.seed, "point": point.place})
    return rows


def _compiled(unit: Unit, train: Split, threads: int) -> CompiledLoop:
    """Return the loop that trains a unit: all settings at once, or the only one with its largest number of steps."""
    longest = [max(same, key=lambda point: _steps(point, train)).specification for same in unit.settings]
    if packs.packable(longest[0]):
        return packs.Pack(longest, train)
    return loop.Loop(longest[0], train, loop.choose(longest[0], threads))


def _steps(point: Point, train: Split) -> int:
    return loop.steps_of(point.specification, len(train.labels))
