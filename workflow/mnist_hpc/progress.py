"""What a person follows during a run: which job began and ended, how many are left, when the end is expected."""

import csv
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Rows of the summary at the end, and of the report's first page.
BEST = 5


@dataclass(frozen=True)
class Job:
    """A job of a run.

    Attributes:
        name: as a person knows it.
        kind: jobs of one kind take similar times, for want of better knowledge.
        threads: it takes.
        seconds: it took the last time, None if it is new.
    """

    name: str
    kind: str
    threads: int
    seconds: float | None


@dataclass
class Progress:
    """The state of a run.

    Attributes:
        jobs: all jobs of the run by number.
        slots: threads that they share; None on a cluster, where nobody knows how long a job waits.
    """

    jobs: Mapping[int, Job]
    slots: int | None
    _begun: dict[int, float] = field(default_factory=dict)
    _took: dict[int, float] = field(default_factory=dict)

    def begin(self, number: int, now: float) -> str:
        """Note that a job was started or submitted at a time, s; return a line that says so."""
        self._begun[number] = now
        job = self.jobs[number]
        expected = f", the last time {duration(job.seconds)}" if job.seconds else ""
        return f"{'started' if self.slots else 'submitted'}: {job.name}{expected}"

    def end(self, number: int, now: float) -> str:
        """Note that a job ended well at a time, s; return a line that says so, and what is left."""
        took = self._took[number] = now - self._begun.pop(number, now)
        line = f"{len(self._took)} of {len(self.jobs)} done: {self.jobs[number].name}, {duration(took)}"
        left = self.left(now)
        return f"{line}; {left} left" if left else line

    def left(self, now: float) -> str:
        """Return how long the rest is expected to take, by the last times; "at least" if a job is new."""
        todo = [number for number in self.jobs if number not in self._took]
        if not (todo and self.slots):
            return ""
        known = [self._remaining(number, now) for number in todo]
        work = sum(
            value * min(self.jobs[number].threads, self.slots) for number, value in zip(todo, known, strict=True)
        )
        seconds = max(work / self.slots, *known)
        certain = all(self.jobs[number].seconds is not None for number in todo)
        if not certain and seconds < 1:
            return ""  # nothing is known of what is left
        return f"{'about' if certain else 'at least'} {duration(seconds)}"

    def _remaining(self, number: int, now: float) -> float:
        job = self.jobs[number]
        if job.seconds is not None:
            expected = job.seconds
        else:
            alike = [took for done, took in self._took.items() if self.jobs[done].kind == job.kind]
            expected = statistics.fmean(alike) if alike else 0.0
        return max(expected - (now - self._begun.get(number, now)), 0.0)


def duration(seconds: float) -> str:
    """Return a time as people say it: 4 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def accuracy(row: Mapping[str, Any]) -> str:
    """Return mean and standard deviation of a row of variants.csv as text: 99.70 ± 0.02 %."""
    spread = f" ± {100 * float(row['test_accuracy_sd']):.2f}" if int(row["n"]) > 1 else ""
    return f"{100 * float(row['test_accuracy_mean']):.2f}{spread} %"


def summary(variants: Path) -> str:
    """Return the best rows of variants.csv as text, by mean test accuracy, those of the study's data set only."""
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
