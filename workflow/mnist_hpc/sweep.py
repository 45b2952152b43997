"""Train all points of a sweep, packed as far as that pays, and rank them by validation loss."""

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc import loop, packed, training
from mnist_hpc.checkpoint import Checkpoint
from mnist_hpc.errors import Interrupted
from mnist_hpc.grids import Point, shared, text
from mnist_hpc.provenance import specification_hash
from mnist_hpc.storage import Split

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
        together, same = shared(known, packed.free_keys(known)), shared(known, packed.read_off(known))
        groups.setdefault(together, {}).setdefault(same, []).append(point)
    found = []
    for group in groups.values():
        settings = [tuple(same) for same in group.values()]
        size = max(1, memory // packed.bytes_a_setting(settings[0][0].specification, shape))
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
    report: Callable[[str], None],
    stop: Callable[[], bool],
    threads: int = 1,
    checkpoint_seconds: float = 60.0,
) -> list[Row]:
    """Train units; return a row for each point (``of``) and seed with its values, steps, status and validation.

    Args:
        found: to train.
        train: training examples.
        validation: validation examples.
        folder: for checkpoints, of this sweep, data and code alone.
        report: receives lines of progress.
        stop: asked about every second; True ends the training.
        threads: CPU threads of the job.
        checkpoint_seconds: how often to save.

    Raises:
        Interrupted: ``stop`` said so; what was done is saved.
    """
    pack: packed.Pack | None = None
    trainer: training.Trainer | None = None
    rows = []
    for number, unit in enumerate(found, start=1):
        if number == 1 or unit.settings is not found[number - 2].settings:
            pack = trainer = None  # they serve all seeds of the same points
            gc.collect()  # a compiled loop is a circle of references, and holds the data
        label = f"pack {number} of {len(found)}"

        def tell(line: str, label: str = label) -> None:
            report(f"{label}, {line}")

        first = unit.settings[0][0].specification
        name = specification_hash([[point.specification for point in same] for same in unit.settings])
        checkpoint = Checkpoint(folder / f"{name}-seed-{unit.seed}.h5", checkpoint_seconds)
        examples = len(train.labels)
        reads = [[loop.steps_of(point.specification, examples) for point in same] for same in unit.settings]
        try:
            if packed.packable(first):
                pack = pack or packed.Pack([same[0].specification for same in unit.settings], train, validation)
                results = pack.train(unit.seed, reads, tell, checkpoint, stop)
            else:
                done = checkpoint.finished(tell)
                if done is None:
                    longest = unit.settings[0][int(np.argmax(reads[0]))].specification
                    trainer = trainer or training.Trainer(longest, train, validation, threads, read_at=reads[0])
                    done = trainer.train(unit.seed, tell, checkpoint, stop)
                results = _alone(done[1], reads[0])
        except Interrupted as interruption:
            raise Interrupted(f"{label}, {interruption}") from None
        by_place = {(row["setting"], row["steps"]): row for row in results}
        for setting, same in enumerate(unit.settings):
            for point, step in zip(same, reads[setting], strict=True):
                values = {key: text(value) for key, value in point.values.items()}
                rows.append({**by_place[setting, step], **values, "seed": unit.seed, "of": point})
    return rows


def _alone(history: Sequence[Row], reads: Sequence[int]) -> list[Row]:
    """Return the rows of a setting that was trained alone, read off its learning curve; as ``Pack.train``."""
    found = {row["step"]: row for row in history if math.isfinite(row["validation_loss"])}
    rows = []
    for step in set(reads):
        row: Row = {"setting": 0, "steps": step, "status": "ok" if step in found else "failed"}
        kept = ("validation_loss", "validation_accuracy") if step in found else ()
        rows.append(row | {key: found[step][key] for key in kept})
    return rows
