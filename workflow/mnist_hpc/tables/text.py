"""Numbers and results as short texts. Imports nothing heavy."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Number of variants in the summary at the end of a run and on the report's first page.
BEST = 5


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


def accuracy(row: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of a row of variants.csv: 99.70 ± 0.02 %."""
    spread = f" ± {100 * float(row['test_accuracy_sd']):.2f}" if int(row["n"]) > 1 else ""
    return f"{100 * float(row['test_accuracy_mean']):.2f}{spread} %"


def summary(variants: Path) -> str:
    """Return the best rows of variants.csv by mean test accuracy, for the study's own data set."""
    dataset = variants.parents[1].name
    with variants.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
    done = [row for row in rows if row["test_accuracy_mean"]]
    best = sorted(done, key=lambda row: -float(row["test_accuracy_mean"]))[:BEST]
    lines = [f"{dataset}: {len(done)} of {len(rows)} variants have results; the best by test accuracy, mean ± sd:"]
    width = max((len(row["variant"]) for row in best), default=0)
    for row in best:
        seconds = duration(float(row["train_seconds_mean"]))
        lines.append(f"  {row['variant']:{width}}  {accuracy(row):15}  n = {row['n']}, training of a seed {seconds}")
    lines += [f"  {row['variant']}: {row['status']}" for row in rows if row["status"] != "ok"][:BEST]
    return "\n".join([*lines, f"Tables: {variants.parent}/, figures: {variants.parents[1] / 'figures'}/"])
