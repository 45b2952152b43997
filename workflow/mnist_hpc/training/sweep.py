"""Train the points of a sweep, packed as far as that pays."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnist_hpc.data.splits import Split
from mnist_hpc.errors import Interrupted, UserError
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study.grids import Point, batch_of, steps_of, text
from mnist_hpc.training import device
from mnist_hpc.training.checkpoint import Arrays, Checkpoint, elsewhere
from mnist_hpc.training.engine import choose
from mnist_hpc.training.loop import Loop
from mnist_hpc.training.packed_loop import PackedLoop
from mnist_hpc.training.packing import Pack, packable
from mnist_hpc.training.run import Run
from mnist_hpc.training.trainer import Trainer, finished, run_of

Row = dict[str, Any]
Outcome = Callable[[Loop | PackedLoop], Arrays]  # what is kept of a finished training


@dataclass
class Trainings:
    """The trainings of a sweep: on what data, where their checkpoints lie, and whom they report to.

    ``folder`` holds checkpoints of this sweep, data and code alone; ``report`` and ``stop`` are those of ``Trainer``,
    which raises Interrupted.
    """

    train: Split
    validation: Split
    folder: Path
    report: Callable[[str], None]
    stop: Callable[[], bool]
    threads: int = 1
    checkpoint_seconds: float = 60.0
    _trainer: Trainer | None = field(default=None, init=False)  # serves all seeds of the same points
    _made_for: Any = field(default=None, init=False)  # what it trains and keeps

    def steps(self, point: Point) -> int:
        """Return the steps of the training of a point."""
        return steps_of(point.specification, len(self.train.labels))

    def run(
        self,
        pack: Pack,
        name: str,
        validated: Sequence[int],
        upto: int | None = None,
        larger: Pack | None = None,
        outcome: Outcome | None = None,
    ) -> tuple[Run, Arrays]:
        """Train a pack with the validation after some steps, up to the last or ``upto`` one of them.

        ``name`` says in messages which pack it is. It begins where a ``larger`` pack was, or with initial weights.
        ``outcome`` says what is kept of the finished training. Return what ``Trainer.train`` does.
        """

        def report(line: str) -> None:
            self.report(f"{name}, {line}")

        checkpoint = self._checkpoint(pack)
        if others := elsewhere(self.folder, checkpoint.path.parent.name, [checkpoint.path.name]):
            self.report(
                f"{name} starts over on {checkpoint.path.parent.name}: the checkpoint of {' and '.join(others)} stays"
            )
        done = finished(checkpoint, report, upto)
        if done is not None:
            return done
        wanted = (pack.settings, list(validated), outcome)
        if self._trainer is None or self._made_for != wanted:
            self._trainer = None
            gc.collect()  # a compiled loop is a circle of references, and holds the data
            loop = _loop(pack, self.train, self.threads)
            self._trainer = Trainer(
                loop, self.validation, validated, outcome=(lambda: outcome(loop)) if outcome else None
            )
            self._made_for = wanted
        origin = self._origin(pack, larger, self._trainer) if larger else None
        try:
            return self._trainer.train(pack.seed, report, checkpoint, self.stop, upto, origin)
        except Interrupted as interruption:
            raise Interrupted(f"{name}, {interruption}") from None

    def _checkpoint(self, pack: Pack) -> Checkpoint:
        name = specification_hash([[point.specification for point in same] for same in pack.settings])
        path = self.folder / _kind(pack, self.threads) / f"{name}-seed-{pack.seed}.h5"
        return Checkpoint(path, self.checkpoint_seconds)

    def _origin(self, pack: Pack, larger: Pack, trainer: Trainer) -> tuple[Run, Arrays] | None:
        """Return where a pack begins that has some settings of a larger one, which was saved; None if it has all."""
        if larger.settings == pack.settings:
            return None
        kept = [place for place, same in enumerate(larger.settings) if same in pack.settings]
        saved = self._checkpoint(larger).load()
        if saved is None:
            raise UserError(f"{self.folder}: a checkpoint of this run was removed; run the workflow again")
        return trainer.of_larger(*run_of(*saved), kept)


def train_packs(packs: Sequence[Pack], trainings: Trainings) -> list[Row]:
    """Train packs, and return a row for each point and seed: values, steps, status, validation, and what it cost."""
    rows = []
    for number, pack in enumerate(packs, start=1):
        steps = {trainings.steps(point) for same in pack.settings for point in same}
        run, _ = trainings.run(pack, f"pack {number} of {len(packs)}", sorted(steps))
        rows += [row | {"rung": 1} for row in pack_rows(pack, run, trainings)]
    return rows


def pack_rows(pack: Pack, run: Run, trainings: Trainings, since: int = 0, upto: int | None = None) -> list[Row]:
    """Return a row for each point of a pack, at the end of its training or after step ``upto``.

    ``images`` and ``train_seconds`` are what the point cost beyond the row before: of points that are read off one
    training, beyond the one with fewer steps; of all, beyond step ``since``. A run that has gone on says the same.
    """
    rows = []
    end = upto or run.steps
    seconds = run.seconds_at(end) - run.seconds_at(since)
    trained = max(1, run.done(end) - since) * len(pack.settings)
    for setting, same in enumerate(pack.settings):
        before = since
        for point in sorted(same, key=trainings.steps):
            step = upto or trainings.steps(point)
            done = max(0, run.done(step) - before)
            before += done
            rows.append(
                {
                    **{key: text(value) for key, value in point.values.items()},
                    **run.result(step, setting),
                    "seed": pack.seed,
                    "point": point.place,
                    "images": done * batch_of(point.specification, len(trainings.train.labels)),
                    "train_seconds": seconds * done / trained,
                }
            )
    return rows


def _kind(pack: Pack, threads: int) -> str:
    """Return the kind of device that trains a pack, with the precision in which it does."""
    specification = pack.settings[0][0].specification
    packed = packable(specification)
    return device.kind(threads, "float32" if packed else choose(specification, threads).dtype_policy)


def _loop(pack: Pack, train: Split, threads: int) -> Loop | PackedLoop:
    """Return the loop that trains a pack: all settings at once, or the only one with its largest number of steps."""
    longest = [max(same, key=lambda point: steps_of(point.specification, len(train.labels))) for same in pack.settings]
    specifications = [point.specification for point in longest]
    if packable(specifications[0]):
        return PackedLoop(specifications, train, xla=device.has_gpu())
    return Loop(specifications[0], train, choose(specifications[0], threads))
