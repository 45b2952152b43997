"""How long jobs take, from what earlier ones took, and the time limits to request.

A job with a limit near its real time can start in a gap that a longer one would not fit into.
"""

import contextlib
import csv
import math
from functools import cache
from itertools import islice
from pathlib import Path

from mnist_hpc.cluster import attempts
from mnist_hpc.study.layout import Block, Work
from mnist_hpc.study.specification import Study

# Time limit of an evaluation, minutes, be it on the test images or on transformed ones. Five nets take 5 s on a
# processor, the largest 2 to 5 minutes on transformed images. The rest is for the start on a slow file system, and for
# the signal that comes two or three minutes before the end.
EVALUATION_MINUTES = 10
# A training may take this many times as long as earlier ones of its variant: another GPU, a busy node.
MARGIN = 3
# Limits are multiples of this, minutes, so that many blocks have the same one.
STEP_MINUTES = 5
# What a seed takes beside its training, s: its first weights, validation, its checkpoint.
SEED_SECONDS = 1.0
# Blocks of a variant that are read to learn its time.
BLOCKS_READ = 20


def expected_seconds(work: Work, results: Path) -> float | None:
    """Estimate the training time of a block from recorded times of its variant; None if there are none."""
    if not isinstance(work, Block):
        return None
    each = _seconds_per_seed(results / work.dataset / "runs" / work.variant)
    return None if each is None else len(work.seeds) * each


def training_limit(study: Study, work: Work, results: Path) -> int:
    """Return the time limit of the training of a block or part, minutes.

    It is the ``runtime`` of the config if that gives one. Otherwise it follows from recorded times of the variant, up
    to the default. If an attempt did not end well, the limit may have been too short, so it is the default again.
    """
    if not isinstance(work, Block):
        return int(study.sweeps[work.sweep].variant.keys["runtime"])
    variant = study.variants[work.variant]
    configured = int(variant.keys["runtime"])
    if variant.runtime_given:
        return configured
    seconds = expected_seconds(work, results)
    if seconds is None or _cut_short(results / work.record, "train"):
        return configured
    minutes = MARGIN * (seconds + len(work.seeds) * SEED_SECONDS) / 60
    return min(configured, STEP_MINUTES * math.ceil(minutes / STEP_MINUTES))


def evaluation_limit(study: Study, block: Block, results: Path, stage: str = "evaluate") -> int:
    """Return the time limit of the stage evaluate or perturb of a block, minutes.

    It is longer if an earlier attempt did not end well, but not by much: it adds to the time limit of the training,
    and a partition has a limit for both.
    """
    if not _cut_short(results / block.record, stage):
        return EVALUATION_MINUTES
    return max(EVALUATION_MINUTES, min(MARGIN * EVALUATION_MINUTES, int(study.variants[block.variant].keys["runtime"])))


def _cut_short(record: Path, stage: str) -> bool:
    """Return whether an attempt of a stage did not end well, whatever the reason."""
    return any(entry["stage"] == stage and entry["end"] != "ok" for entry in attempts.read(record))


@cache
def _seconds_per_seed(folder: Path) -> float | None:
    """Return the mean training time of a seed in a variant's folder, s; None if no time is recorded."""
    recorded = []
    for path in islice(sorted(folder.glob("*/metrics.csv")), BLOCKS_READ):
        # Of a damaged one, the run itself reports what to do.
        with contextlib.suppress(OSError, ValueError, csv.Error), path.open(newline="") as file:
            recorded += [float(row["train_seconds"]) for row in csv.DictReader(file) if row.get("train_seconds")]
    return sum(recorded) / len(recorded) if recorded else None
