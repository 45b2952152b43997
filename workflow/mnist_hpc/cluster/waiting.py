"""Why jobs wait, reported often enough and not more often."""

import time
from collections import Counter
from collections.abc import Mapping

from mnist_hpc.cluster import reasons, slurm
from mnist_hpc.study import layout

# Least time between two equal reports, s.
AGAIN_SECONDS = 300.0


def away(error: Exception) -> str:
    """Return what is said when Slurm does not answer a query that is repeated."""
    return f"Slurm does not answer, asked again until it does: {error}"


class News:
    """Remembers when what was reported."""

    def __init__(self) -> None:
        self._reported: dict[str, float] = {}

    def is_new(self, text: str) -> bool:
        """Return whether a text was not reported for a while, and remember that it is now."""
        moment = time.monotonic()
        if moment - self._reported.get(text, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return False
        self._reported[text] = moment
        return True


class Waiting:
    """Reports why jobs wait."""

    def __init__(self) -> None:
        self._news = News()

    def lines(self, jobs: Mapping[slurm.Job, layout.Work]) -> list[str]:
        """Return lines about those jobs that wait: one for each reason that will not pass, and one for all reasons."""
        waiting = {job: work for job, work in jobs.items() if job.waits and job.reason != "None"}
        lines = []
        for job, work in waiting.items():
            if (advice := reasons.advice(job.reason)) and self._news.is_new(job.reason):
                lines.append(f"Warning: {work}: job {job.number} will not start ({job.reason}): {advice}")
        if waiting and self._news.is_new("waiting"):
            counts = Counter(job.reason for job in waiting).most_common()
            listed = ", ".join(f"{count} ({reasons.explained(reason)})" for reason, count in counts)
            lines.append(f"[{time.strftime('%H:%M:%S')}] waiting in the queue: {listed}")
        return lines
