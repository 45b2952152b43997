"""Snakemake's logger plugin ``mnist``: one line for each job that starts or ends.

Dry runs and Snakemake's log file under .snakemake/log keep Snakemake's own text.
"""

import re
import sys
import time
from collections.abc import Iterable
from logging import LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from mnist_hpc.files import csv_table
from mnist_hpc.study.layout import of_wildcards
from mnist_hpc.tables.text import duration, percent

# Events for which this handler has its own text, or none.
REPLACED = {LogEvent.JOB_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.GROUP_INFO, LogEvent.PROGRESS}

# The last one is the Slurm plugin's "Job <id> has been submitted with SLURM jobid <number>".
REPLACED_TEXT = re.compile(r"Select jobs to execute|Job rate limit reached|Job \S+ has been submitted with SLURM jobid")


class LogHandler(LogHandlerBase):
    """Writes the events of a run to standard error."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        self._started: dict[int, tuple[str, float, list[str]]] = {}  # name, time and tables with test accuracies
        self._total = self._done = 0
        self._cluster = False

    def emit(self, record: LogRecord) -> None:
        """Write a record; an error in this method must neither end Snakemake's logging thread nor hide what it says."""
        try:
            text = self._own(record) if self._replaces(record) else self.format(record)
        except Exception:  # noqa: BLE001  see above
            text = record.getMessage()
        try:
            if text:
                print(text, file=sys.stderr, flush=True)
        except OSError:  # the terminal is gone
            self.handleError(record)

    def _replaces(self, record: Any) -> bool:
        """Return whether this handler replaces Snakemake's text of a record."""
        if self.common_settings.dryrun or self.common_settings.verbose:
            return False
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self._total = record.stats["total"] - record.stats.get("all", 0)
        elif event == LogEvent.RESOURCES_INFO and hasattr(record, "nodes"):
            self._cluster = True
        return event in REPLACED or bool(REPLACED_TEXT.match(str(record.msg)))

    def _own(self, record: Any) -> str:
        """Return the line for a job that started or ended, and an empty text for anything else."""
        event, now = getattr(record, "event", None), time.time()
        if event == LogEvent.JOB_INFO and record.rule_name != "all":
            name = _name(record.rule_name, dict(record.wildcards))
            metrics = [path for path in getattr(record, "output", []) if path.endswith("metrics.csv")]
            self._started[record.jobid] = name, now, metrics
            if self._cluster and not record.local:
                return ""  # the executor says so when Slurm has accepted it
            text = f"started: {name}"
        elif event == LogEvent.JOB_FINISHED and record.job_id in self._started:
            name, start, metrics = self._started.pop(record.job_id)
            self._done += 1
            text = f"{self._done} of {self._total} done: {name}, {duration(now - start)}{_accuracy(metrics)}"
        else:
            return ""
        return f"[{time.strftime('%H:%M:%S')}] {text}"


def _name(rule: str, wildcards: dict[str, str]) -> str:
    """Return a readable name of a job: its rule and what it works on."""
    if {"first", "part"} & set(wildcards):
        return f"{rule} {of_wildcards(wildcards)}"
    return " ".join([rule, *(wildcards[key] for key in ("dataset", "sweep") if key in wildcards)])


def _accuracy(metrics: Iterable[str]) -> str:
    """Return the mean test accuracy of an evaluation's tables as text; empty if there is none."""
    found = [row for path in metrics for row in csv_table.read(Path(path))]
    accuracies = [float(row["test_accuracy"]) for row in found if row["test_accuracy"]]
    if not accuracies:
        return ""
    seeds = f", mean of {len(accuracies)} seeds" if len(accuracies) > 1 else ""
    return f", test accuracy {percent(sum(accuracies) / len(accuracies))} %{seeds}"
