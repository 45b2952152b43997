"""Halve the points of a bracket rung by rung, then train the best of the last rung again from fresh seeds.

See ``mnist_hpc.study.halving``. Points that can share batches train as packs, which lose the settings of dropped
points; the others go on from where they were. The same points, rungs and packs give the same bits, interrupted or not.
A point that survives ends where its own training would, to rounding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mnist_hpc.study import halving
from mnist_hpc.study.grids import FIRST_SEED, FRESH_SEED, Point
from mnist_hpc.training import packing
from mnist_hpc.training.checkpoint import Arrays
from mnist_hpc.training.loop import Loop
from mnist_hpc.training.models import input_shape
from mnist_hpc.training.packed_loop import PackedLoop
from mnist_hpc.training.packing import Pack
from mnist_hpc.training.run import Run
from mnist_hpc.training.sweep import Row, Trainings, pack_rows


def halve(
    points: Sequence[Point], sweep: Mapping[str, Any], trainings: Trainings, shift: int = 0
) -> tuple[list[Row], dict[int, np.ndarray]]:
    """Train the points of a bracket of a sweep, given what ``Sweep.json`` says; all seeds are higher by ``shift``.

    Return a row for each training and rung, and of each finalist, by its place, the losses of the validation examples,
    float32 (fresh seeds, examples), NaN where it diverged. The finalists' rows have the rung after the last.
    """
    rows = _climb(points, sweep, trainings, FIRST_SEED + shift)
    last = [row for row in rows if row["rung"] == len(halving.shares(sweep["halving"]))]
    finalists = halving.best(last, sweep["halving"]["finalists"])
    confirmed = [point for point in points if point.place in finalists]
    final, losses = _confirm(confirmed, sweep, trainings, FRESH_SEED + shift)
    return rows + final, losses


def _packs(points: Sequence[Point], first_seed: int, seeds: int, sweep: Mapping[str, Any], shape: Any) -> list[Pack]:
    return packing.packs(points, range(first_seed, first_seed + seeds), shape, sweep["pack_mb"] * 10**6)


def _climb(points: Sequence[Point], sweep: Mapping[str, Any], trainings: Trainings, first_seed: int) -> list[Row]:
    """Train all rungs; return their rows."""
    rows: list[Row] = []
    packs = _packs(points, first_seed, sweep["seeds"], sweep, input_shape(trainings.train))
    before: list[tuple[Pack, Run] | None] = [None] * len(packs)  # the pack that each comes from, and its run there
    sizes = halving.sizes(sweep["halving"], len(points))
    for rung in range(1, len(sizes) + 1):
        name = f"rung {rung} of {len(sizes)}, pack"
        of_rung: list[Row] = []
        reached: list[tuple[Pack, Run]] = []
        for number, (pack, earlier) in enumerate(zip(packs, before, strict=True), start=1):
            ends = halving.ends(sweep["halving"], trainings.steps(pack.settings[0][0]))
            larger, since = earlier or (None, None)
            run, _ = trainings.run(pack, f"{name} {number} of {len(packs)}", ends, ends[rung - 1], larger)
            of_rung += [row | {"rung": rung} for row in pack_rows(pack, run, trainings, since, ends[rung - 1])]
            reached.append((pack, run))
        rows += of_rung
        if rung < len(sizes):
            kept = halving.best(of_rung, sizes[rung])
            trainings.report(f"rung {rung} of {len(sizes)}: {len(kept)} of {sizes[rung - 1]} points go on")
            going = [(pack.only(kept), (pack, run)) for pack, run in reached]
            packs, before = [pack for pack, _ in going if pack.settings], [old for pack, old in going if pack.settings]
    return rows


def _confirm(
    points: Sequence[Point], sweep: Mapping[str, Any], trainings: Trainings, first_seed: int
) -> tuple[list[Row], dict[int, np.ndarray]]:
    """Train the finalists from fresh seeds; return their rows and losses."""
    rules, examples = sweep["halving"], len(trainings.validation.labels)

    def outcome(loop: Loop | PackedLoop) -> Arrays:
        return {"losses": loop.losses(trainings.validation)}

    rows: list[Row] = []
    losses = {point.place: np.full((rules["fresh_seeds"], examples), np.nan, np.float32) for point in points}
    packs = _packs(points, first_seed, rules["fresh_seeds"], sweep, input_shape(trainings.train))
    for number, pack in enumerate(packs, start=1):
        steps = trainings.steps(pack.settings[0][0])
        run, kept = trainings.run(pack, f"finalists, pack {number} of {len(packs)}", [steps], outcome=outcome)
        of_pack = pack_rows(pack, run, trainings)
        rows += [row | {"rung": len(halving.shares(rules)) + 1} for row in of_pack]
        for setting, row in enumerate(of_pack):
            if row["status"] == "ok":
                losses[row["point"]][pack.seed - first_seed] = kept["losses"][setting]
    return rows, losses
