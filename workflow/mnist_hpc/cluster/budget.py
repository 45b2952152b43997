"""What the sweeps of a study will cost, before anything runs."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table
from mnist_hpc.study import grids, halving, spaces
from mnist_hpc.study.grids import Point
from mnist_hpc.study.schedules import STEPS, read_off
from mnist_hpc.study.specification import Study, Sweep
from mnist_hpc.tables import ranking
from mnist_hpc.tables.text import counted, duration


def lines(study: Study, results: Path, sweeps: Iterable[Sweep]) -> list[str]:
    """Return for each of some sweeps how many images it trains and, if known, how long that takes, as text."""
    found = []
    for sweep in sweeps:
        images, pace = planned_images(study, sweep), seconds_per_image(study, sweep, results)
        time = f", about {duration(pace * images)} of training" if pace else ""
        amount = f"{images:,}" if images < 1e6 else f"{images / 1e6:,.1f} million"
        found.append(f"sweep {sweep.name}: {described(sweep)}, {amount} images{time}")
    return found


def described(sweep: Sweep) -> str:
    """Return what a sweep does, as text: its points and seeds, and how it is halved."""
    text = f"{counted(sweep.count, 'point')} with {counted(sweep.seeds, 'seed')}"
    if rules := sweep.halving:
        finalists = sum(_finalists(rules, sizes) for sizes in _brackets(sweep))
        text += f" in {counted(len(halving.shares(rules)), 'rung')}, then {counted(finalists, 'finalist')}"
        text += f" with {counted(rules['fresh_seeds'], 'seed')}"
    return text


def planned_images(study: Study, sweep: Sweep) -> int:
    """Return how many images a sweep trains, if nothing diverges.

    Of points that are halved and see different numbers of images, the mean counts: nobody knows yet which go on.
    """
    _, _, examples = study.facts(sweep.variant.dataset)
    if not sweep.halving and (sweep.kind == "grid" or sweep.dimensions.keys() & set(STEPS)):
        return sweep.seeds * _images(spaces.tried(json.loads(sweep.json)), examples)
    mean = _mean_images(sweep, examples)
    if not sweep.halving:
        return round(sweep.seeds * sweep.count * mean)
    shares = halving.shares(sweep.halving)
    parts = [float(share - before) for before, share in zip([Fraction(0), *shares], shares, strict=False)]
    total = 0.0
    for sizes in _brackets(sweep):
        total += sweep.seeds * sum(size * part for size, part in zip(sizes, parts, strict=True))
        total += sweep.halving["fresh_seeds"] * _finalists(sweep.halving, sizes)
    return round(total * mean)


def _brackets(sweep: Sweep) -> list[list[int]]:
    """Return for each bracket of a sweep that is halved how many points train in each of its rungs."""
    rules, points, jobs = sweep.halving or {}, range(sweep.count), range(1, sweep.jobs + 1)
    return [halving.sizes(rules, len(halving.bracket(points, number, sweep.jobs))) for number in jobs]


def _finalists(rules: Mapping[str, Any], sizes: Sequence[int]) -> int:
    """Return the finalists of a bracket in whose rungs so many points train."""
    return min(rules["finalists"], sizes[-1])


def _mean_images(sweep: Sweep, examples: int) -> float:
    """Return the images that the training of a point sees, the mean over points if these differ."""
    if sweep.images:
        return sweep.images
    if "batch_size" not in sweep.dimensions:
        return grids.images_seen(sweep.variant.specification, examples)
    points = spaces.tried(json.loads(sweep.json))
    return statistics.mean(grids.images_seen(point.specification, examples) for point in points)


def _images(points: Sequence[Point], examples: int) -> int:
    """Return the images of points of which those that differ in their steps alone are read off one training."""
    longest: dict[str, int] = {}
    for point in points:
        same = grids.shared(point.specification, read_off(point.specification))
        longest[same] = max(longest.get(same, 0), grids.images_seen(point.specification, examples))
    return sum(longest.values())


def seconds_per_image(study: Study, sweep: Sweep, results: Path) -> float | None:
    """Return how long an image took in the last run of a sweep, or else in its variant's runs; None if none has run."""
    try:
        best = ranking.read_best(results / sweep.folder / "best.json")
        return float(best["train_seconds"] / best["images"])
    except (UserError, KeyError):
        pass
    speeds = []
    for block in study.blocks_of(sweep.variant.name):
        try:
            rows = csv_table.read(results / block.folder / "metrics.csv")
        except (OSError, UserError):  # missing, or damaged, which the run itself reports
            continue
        speeds += [float(row["images_per_second"]) for row in rows if row.get("images_per_second")]
    return 1 / statistics.mean(speeds) if speeds else None
