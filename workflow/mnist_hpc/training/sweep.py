"""Train the points of a sweep, packed as far as that pays."""

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc.data.splits import Split
from mnist_hpc.errors import Interrupted
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study.grids import Point, steps_of, text
from mnist_hpc.training import device
from mnist_hpc.training.checkpoint import Checkpoint, elsewhere
from mnist_hpc.training.engine import choose
from mnist_hpc.training.loop import Loop
from mnist_hpc.training.packed_loop import PackedLoop
from mnist_hpc.training.packing import Pack, packable
from mnist_hpc.training.trainer import Trainer, finished


def train(
    packs: Sequence[Pack],
    train: Split,
    validation: Split,
    folder: Path,
    report: Callable[[str], None],
    stop: Callable[[], bool],
    threads: int = 1,
    checkpoint_seconds: float = 60.0,
) -> list[dict[str, Any]]:
    """Train packs, and return a row for each point and seed with its values, steps, status and validation.

    ``folder`` holds checkpoints of this sweep, data and code alone; ``report`` and ``stop`` are those of ``Trainer``,
    which raises Interrupted.
    """
    trainer: Trainer | None = None
    rows = []
    for number, pack in enumerate(packs, start=1):
        if number == 1 or pack.settings is not packs[number - 2].settings:
            trainer = None  # it serves all seeds of the same points
            gc.collect()  # a compiled loop is a circle of references, and holds the data

        def report_pack(line: str, number: int = number) -> None:
            report(f"pack {number} of {len(packs)}, {line}")

        name = specification_hash([[point.specification for point in same] for same in pack.settings])
        file, kind = f"{name}-seed-{pack.seed}.h5", _kind(pack, threads)
        if others := elsewhere(folder, kind, [file]):
            report(
                f"pack {number} of {len(packs)} starts over on {kind}: the checkpoint of {' and '.join(others)} stays"
            )
        checkpoint = Checkpoint(folder / kind / file, checkpoint_seconds)
        steps = [[_steps(point, train) for point in same] for same in pack.settings]
        done = finished(checkpoint, report_pack)
        if done is None:
            trainer = trainer or Trainer(_loop(pack, train, threads), validation, set().union(*steps))
            try:
                done = trainer.train(pack.seed, report_pack, checkpoint, stop)
            except Interrupted as interruption:
                raise Interrupted(f"pack {number} of {len(packs)}, {interruption}") from None
        for setting, same in enumerate(pack.settings):
            for point, step in zip(same, steps[setting], strict=True):
                values = {key: text(value) for key, value in point.values.items()}
                rows.append({**done[0].result(step, setting), **values, "seed": pack.seed, "point": point.place})
    return rows


def _kind(pack: Pack, threads: int) -> str:
    """Return the kind of device that trains a pack, with the precision in which it does."""
    specification = pack.settings[0][0].specification
    packed = packable(specification)
    return device.kind(threads, "float32" if packed else choose(specification, threads).dtype_policy)


def _loop(pack: Pack, train: Split, threads: int) -> Loop | PackedLoop:
    """Return the loop that trains a pack: all settings at once, or the only one with its largest number of steps."""
    longest = [max(same, key=lambda point: _steps(point, train)).specification for same in pack.settings]
    if packable(longest[0]):
        return PackedLoop(longest, train, xla=device.has_gpu())
    return Loop(longest[0], train, choose(longest[0], threads))


def _steps(point: Point, train: Split) -> int:
    return steps_of(point.specification, len(train.labels))
