"""Numbers and results as short texts for people. Imports nothing heavy."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Rows of the summary at the end of a run, and of the report's first page.
BEST = 5


def duration(seconds: float) -> str:
    """Return a time in the usual units: 4 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def accuracy(row: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of a row of variants.csv: 99.70 ± 0.02 %."""
    spread = f" ± {100 * float(row['test_accuracy_sd']):.2f}" if int(row["n"]) > 1 else ""
    return f"{100 * float(row['test_accuracy_mean']):.2f}{spread} %"


def summary(variants: Path) -> str:
    """Return the best rows of variants.csv by mean test accuracy, those of the study's data set only."""
    dataset = variants.parents[1].name
    with variants.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
    done = [row for row in rows if row["test_accuracy_mean"]]
    done.sort(key=lambda row: -float(row["test_accuracy_mean"]))
    lines = [f"{dataset}: {len(done)} of {len(rows)} variants have results; the best by test accuracy, mean ± sd:"]
    width = max((len(row["variant"]) for row in done[:BEST]), default=0)
    for row in done[:BEST]:
        seconds = duration(float(row["train_seconds_mean"]))
        lines.append(f"  {row['variant']:{width}}  {accuracy(row):15}  n = {row['n']}, training of a seed {seconds}")
    lines += [f"  {row['variant']}: {row['status']}" for row in rows if row["status"] != "ok"][:BEST]
    return "\n".join([*lines, f"Tables: {variants.parent}/, figures: {variants.parents[1] / 'figures'}/"])
