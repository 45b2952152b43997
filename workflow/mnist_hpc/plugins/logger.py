"""Snakemake's logger plugin ``mnist``: one line for each job that starts or ends, instead of a dozen.

Snakemake's log file under .snakemake/log keeps its own text, which is also what a dry run shows.
"""

import sys
import time
from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from mnist_hpc.study.layout import of_wildcards
from mnist_hpc.tables.text import duration

# What this handler says in its own words, or leaves out.
REPLACED = {LogEvent.JOB_INFO, LogEvent.JOB_STARTED, LogEvent.JOB_FINISHED, LogEvent.GROUP_INFO, LogEvent.PROGRESS}


class LogHandler(LogHandlerBase):
    """Writes what happens in a run to standard error."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Start with no jobs."""
        self._started: dict[int, tuple[str, float]] = {}
        self._total = self._done = 0
        self._verb = "started"

    def emit(self, record: LogRecord) -> None:
        """Write a record; an error in here must not end Snakemake's thread of log handlers."""
        try:
            text = self._own(record) if self._replaces(record) else self.format(record)
            if text:
                print(text, file=sys.stderr, flush=True)
        except Exception:  # noqa: BLE001  whatever it is
            self.handleError(record)

    def _replaces(self, record: LogRecord) -> bool:
        if self.common_settings.dryrun or self.common_settings.verbose:
            return False
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self._total = record.stats["total"] - record.stats.get("all", 0)  # type: ignore[attr-defined]
        elif event == LogEvent.RESOURCES_INFO and hasattr(record, "nodes"):
            self._verb = "submitted"  # to a cluster, where the job may wait
        return event in REPLACED or record.msg == "Select jobs to execute..."

    def _own(self, record: LogRecord) -> str:
        """Return the line for a job that started or ended; nothing for anything else."""
        event, now = getattr(record, "event", None), time.time()
        if event == LogEvent.JOB_INFO and record.rule_name != "all":  # type: ignore[attr-defined]
            name = _name(record.rule_name, dict(record.wildcards))  # type: ignore[attr-defined]
            self._started[record.jobid] = name, now  # type: ignore[attr-defined]
            return self._line(f"{self._verb}: {name}")
        if event == LogEvent.JOB_FINISHED and record.job_id in self._started:  # type: ignore[attr-defined]
            name, start = self._started.pop(record.job_id)  # type: ignore[attr-defined]
            self._done += 1
            return self._line(f"{self._done} of {self._total} done: {name}, {duration(now - start)}")
        return ""

    @staticmethod
    def _line(text: str) -> str:
        return f"[{time.strftime('%H:%M:%S')}] {text}"


def _name(rule: str, wildcards: dict[str, str]) -> str:
    """Return a job's name for people: its rule and what it works on."""
    if {"first", "part"} & set(wildcards):
        return f"{rule} {of_wildcards(wildcards)}"
    return " ".join([rule, *(wildcards[key] for key in ("dataset", "sweep") if key in wildcards)])
