"""Numbers and results as short texts. Imports nothing heavy."""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Number of variants in the summary at the end of a run and at the top of the report.
BEST = 5

Row = Mapping[str, Any]


def duration(seconds: float) -> str:
    """Return a time in the usual units: 4 s, 3 min 20 s, 2 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s".removeprefix("0 min ").removesuffix(" 0 s")
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min".removesuffix(" 0 min")


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: 1 job, 2 jobs."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def accuracy(row: Row) -> str:
    """Return the test accuracy in a row of variants.csv: 99.70 ± 0.02 % (n = 5), or how many seeds succeeded."""
    if _is_number(row["successes"]):
        return f"{successes(row)}; mean test accuracy {percent(row['test_accuracy_mean'])} %"
    return f"{spread(row)} (n = {row['n']})"


def spread(row: Row) -> str:
    """Return mean and standard deviation of the test accuracy in a row of variants.csv: 99.70 ± 0.02 %."""
    sd = f" ± {percent(row['test_accuracy_sd'])}" if int(row["n"]) > 1 else ""
    return f"{percent(row['test_accuracy_mean'])}{sd} %"


def successes(row: Row) -> str:
    """Return how many seeds succeeded in a row of variants.csv, with the exact interval of their share."""
    low, high = (100 * float(row[f"success_ci95_{side}"]) for side in ("low", "high"))
    counted = f"{float(row['successes']):.0f} of {float(row['trials']):.0f} seeds"
    return f"{counted} reach {100 * float(row['success']):g} % (95 % interval of the share: {low:.0f} to {high:.0f} %)"


def difference(row: Row) -> str:
    """Return the paired difference in a row of comparisons.csv: +0.05 points (95 % interval −0.07 to +0.18, n = 5)."""
    mean, low, high = (_points(row[f"difference_{name}"]) for name in ("mean", "ci95_low", "ci95_high"))
    interval = f"95 % interval {low} to {high}" if low else "no interval"
    return f"{mean} points ({interval}, n = {row['n']})"


def leading(rows: Iterable[Row], most: int = BEST) -> list[Row]:
    """Return the rows of variants.csv with the highest validation accuracy, highest first; at most ``most``.

    They are not chosen by test accuracy: the highest of several is too high by luck.
    """
    known = [row for row in rows if _is_number(row["validation_accuracy_mean"])]
    return sorted(known, key=lambda row: -float(row["validation_accuracy_mean"]))[:most]


def summary(variants: Path) -> str:
    """Return the rows of variants.csv that ``leading`` chooses, for the study's own data set."""
    dataset = variants.parents[1].name
    with variants.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
    done = sum(bool(row["test_accuracy_mean"]) for row in rows)
    best = leading(rows)
    lines = [f"{dataset}: {done} of {len(rows)} variants have results; by validation accuracy, highest first:"]
    width = max((len(row["variant"]) for row in best), default=0)
    for row in best:
        validated, seconds = percent(row["validation_accuracy_mean"]), duration(float(row["train_seconds_mean"]))
        tested = f"validation {validated} %, test {spread(row):15}  n = {row['n']}"
        lines.append(f"  {row['variant']:{width}}  {tested}, training of a seed {seconds}")
    lines += [f"  {row['variant']}: {row['status']}" for row in rows if row["status"] != "ok"][:BEST]
    folder = variants.parents[1]
    places = f"Report: {folder / 'report.html'}, tables: {variants.parent}/, figures: {folder / 'figures'}/"
    return "\n".join([*lines, places])


def _is_number(value: Any) -> bool:
    """Return whether a cell of a table, text or number, is filled."""
    return value not in ("", None) and not math.isnan(float(value))


def percent(fraction: Any) -> str:
    """Return a fraction in percent, without the sign: 99.70."""
    return f"{100 * float(fraction):.2f}"


def _points(fraction: Any) -> str:
    """Return a difference in percentage points with its sign; empty if there is none."""
    return f"{100 * float(fraction):+.2f}".replace("-", "−") if _is_number(fraction) else ""
