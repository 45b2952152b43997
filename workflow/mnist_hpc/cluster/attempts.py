"""How the attempts of a job ended: one JSON file per job (``record`` of a block or part), beside its checkpoints.

On a cluster, a training that reached its time limit continues in a further attempt. The record tells whether such an
attempt can succeed, and how much memory it needs.
"""

import contextlib
import json
import os
import platform
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from mnist_hpc.errors import Interrupted, NoGpuError, UserError, reason
from mnist_hpc.files.atomic import write_text
from mnist_hpc.files.provenance import now
from mnist_hpc.study.layout import Work

Entry = dict[str, Any]

KEYS = {"stage", "job", "host", "started", "mem_mb", "end", "reason"}
OUT_OF_MEMORY = "OUT_OF_MEMORY"
NO_GPU = "no GPU"
# States of a job whose program was killed before it could say why, and what it means if that comes again.
KILLED = {
    "FAILED": "its process crashed or was killed twice without progress",
    "TIMEOUT": "the time limit came twice without progress: raise the variant's runtime",
}


def read(record: Path) -> list[Entry]:
    """Return the attempts of a job, oldest first; none if the record does not exist or is damaged.

    An entry holds ``stage``, ``job`` (its Slurm number, or empty), ``host``, ``started`` (UTC), ``mem_mb`` (requested
    memory, or 0), and how it ended: ``end`` is "ok", "interrupted", "no GPU" (on its node), "error" (the user must fix
    it), "failed" (any other exception), the state that Slurm reports of a job that was killed, or None while that is
    not known; ``reason`` is the text of the error.
    """
    try:
        return [entry for entry in json.loads(record.read_text()) if entry.keys() >= KEYS]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


@contextlib.contextmanager
def recorded(record: Path, stage: str, mem_mb: int) -> Iterator[None]:
    """Record an attempt around the block."""
    entry: Entry = {"stage": stage, "job": job(), "host": platform.node(), "started": now(), "mem_mb": mem_mb}
    entry |= {"end": None, "reason": ""}
    entries = [*read(record), entry]
    _write(record, entries)
    entry["end"] = "ok"
    try:
        yield
    except BaseException as error:
        kinds = {UserError: "error", NoGpuError: NO_GPU, Interrupted: "interrupted", KeyboardInterrupt: "interrupted"}
        entry |= {"end": kinds.get(type(error), "failed"), "reason": reason(error)}
        raise
    finally:
        _write(record, entries)


def errors(works: Iterable[Work], results: Path) -> list[str]:
    """Return how the last attempt of each job ended if it was an error, one line each."""
    found = []
    for work in works:
        for last in read(results / work.record)[-1:]:
            if last["end"] in ("error", "failed", NO_GPU):
                where = f"{last['host']}, job {last['job']}" if last["job"] else last["host"]
                found.append(f"{work}: {last['reason']} ({where})")
    return found


def job() -> str:
    """Return the number of the Slurm job that this process runs in; empty outside of Slurm."""
    return os.environ.get("SLURM_JOB_ID", "")


def interrupted(records: Iterable[Path], since: str) -> int:
    """Return how many jobs had a last attempt, begun after a time (UTC), that was interrupted and saved its state."""
    last = [entry for record in records for entry in read(record)[-1:]]
    return sum(entry["end"] == "interrupted" and entry["started"] >= since for entry in last)


def hopeless(record: Path, attempts: int, since: str, number: str, state: str) -> str | None:
    """Return why a further attempt would fail like the last one, or None if it may succeed.

    Args:
        record: Record of the job.
        attempts: How many attempts have ended in this run of the workflow.
        since: When this run began, UTC.
        number: Slurm number of the job of the last attempt.
        state: State in which that job ended, for an attempt that was killed.
    """
    entries = read(record)
    for entry in entries:
        if entry["end"] is None and entry["job"] == number:
            entry["end"] = state
            with contextlib.suppress(OSError):  # a full disk must not end the main process
                _write(record, entries)
    recent = [entry for entry in entries if entry["started"] >= since]
    if not recent:
        return "two jobs ended before the program began; see their logs" if attempts > 1 else None
    last = recent[-1]
    if last["end"] == "error":
        return str(last["reason"])
    if last["end"] == OUT_OF_MEMORY and not last["mem_mb"]:
        return (
            "out of memory, and the profile's mem_mb=0 leaves the memory to the site, so another attempt would have as "
            "little: request more GPUs or CPUs, another GPU type, or memory"
        )
    if len(recent) == 1 or any(recent[-2][key] != last[key] for key in ("end", "mem_mb")):
        return None
    if last["end"] == NO_GPU:
        return f"no GPU on two nodes: {last['reason']}"
    if recent[-2]["reason"] != last["reason"] or (last["end"] in KILLED and _saved(record, last["started"])):
        return None
    return {
        "failed": f"the same error twice: {last['reason']}",
        "interrupted": f"no progress in two attempts ({last['reason']}): raise the variant's runtime",
        OUT_OF_MEMORY: f"out of memory twice with {last['mem_mb']} MB: raise the variant's mem_mb",
        **KILLED,
    }.get(last["end"])


def _saved(record: Path, since: str) -> bool:
    """Return whether a checkpoint of the variant or sweep, perhaps of another job, was written after a time (UTC)."""
    begin = datetime.fromisoformat(since).timestamp()
    return any(path.stat().st_mtime > begin for path in record.parent.glob("*/*/*.h5"))


def last(record: Path, number: str) -> Entry | None:
    """Return the last attempt of a job; None if it was not by the Slurm job of this number."""
    return next((entry for entry in read(record)[-1:] if entry["job"] == number), None)


def advanced(record: Path, since: str) -> bool:
    """Return whether an attempt begun after a time (UTC) was interrupted elsewhere than the interrupted one before."""
    *_, before, last = None, None, *(entry for entry in read(record) if entry["end"] == "interrupted")
    if last is None or last["started"] < since:
        return False
    return before is None or bool(before["reason"] != last["reason"])


def killed(record: Path, number: str) -> None:
    """Record that the last attempt ended without a trace, if it was by the Slurm job of this number and did."""
    entries = read(record)
    for entry in entries[-1:]:
        if entry["end"] is None and entry["job"] == number:
            entry |= {"end": "failed", "reason": "its process was killed, perhaps for its memory"}
            _write(record, entries)


def memory(record: Path, mem_mb: int) -> int:
    """Return the memory to request, MB: the configured amount, or twice what proved too little if that is more."""
    return max([mem_mb, *(2 * entry["mem_mb"] for entry in read(record) if entry["end"] == OUT_OF_MEMORY)])


def _write(record: Path, entries: list[Entry]) -> None:
    write_text(record, json.dumps(entries, indent=1) + "\n")
