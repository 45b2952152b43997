"""How the tries of a job ended: one JSON file a job (``jobs.Work.record``), beside its checkpoints.

A cluster's jobs are tried again until they succeed: a training that met the time limit goes on where it was. This
record tells whether another try can help, and how much memory it needs.
"""

import contextlib
import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mnist_hpc.errors import Interrupted, UserError, reason
from mnist_hpc.files.atomic import atomic, remove_empty
from mnist_hpc.files.provenance import now

Entry = dict[str, Any]

KEYS = {"stage", "job", "host", "started", "mem_mb", "end", "reason"}
OUT_OF_MEMORY = "OUT_OF_MEMORY"
# More than a study ever needs; the file stays small whatever happens.
KEPT = 100


def read(record: Path) -> list[Entry]:
    """Return the tries of a job, oldest first; none if there is no record or it cannot be read.

    An entry holds ``stage``, ``job`` (its number in the batch system, empty outside of one), ``host``, ``started``
    (UTC), ``mem_mb`` (asked for; 0: none), and how it ended: ``end`` is "ok", "interrupted", "error" (one that a
    person must mend), "failed" (any other exception), what the batch system says of a job that was killed, or
    None while that is not known; ``reason`` is the text of the error.
    """
    try:
        entries = json.loads(record.read_text())
        return [entry for entry in entries if entry.keys() >= KEYS and _plain(entry)]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return []


def _plain(entry: Entry) -> bool:
    """Return whether an entry is one that can be reckoned with and shown on a terminal."""
    texts = [entry[key] for key in KEYS - {"mem_mb"} if entry[key] is not None]
    return entry["mem_mb"] in range(2**40) and all(isinstance(text, str) and text.isprintable() for text in texts)


@contextlib.contextmanager
def recorded(record: Path, stage: str, mem_mb: int) -> Iterator[None]:
    """Record a try around the block."""
    entry: Entry = {"stage": stage, "job": job(), "host": platform.node(), "started": now(), "mem_mb": mem_mb}
    entry |= {"end": None, "reason": ""}
    entries = [*read(record), entry]
    _write(record, entries)
    entry["end"] = "ok"
    try:
        yield
    except BaseException as error:
        kinds = {UserError: "error", Interrupted: "interrupted", KeyboardInterrupt: "interrupted"}
        entry |= {"end": kinds.get(type(error), "failed"), "reason": reason(error)}
        raise
    finally:
        _write(record, entries)


def job() -> str:
    """Return the number of the Slurm job that this process runs in; empty outside of one."""
    return os.environ.get("SLURM_JOB_ID", "")


def interrupted(records: Iterable[Path], since: str) -> int:
    """Return how many of these jobs were told to stop and saved themselves, since a time, UTC."""
    last = [read(record)[-1:] for record in records]
    return sum(entry["end"] == "interrupted" and entry["started"] >= since for entries in last for entry in entries)


def hopeless(record: Path, tries: int, since: str, state: Callable[[str], str]) -> str | None:
    """Return why another try would end like the last one, or None if it may help.

    Args:
        record: of the job.
        tries: how many have ended so far in this run of the workflow.
        since: when this run of the workflow began, UTC; what was recorded before does not count.
        state: returns what the batch system says of a job, by its number; asked when the job was killed.
    """
    entries = read(record)
    for entry in entries:
        if entry["end"] is None:
            entry["end"] = state(entry["job"])
            _write(record, entries)
    recent = [entry for entry in entries if entry["started"] >= since]
    if not recent:
        return "two jobs ended before the program began; see their logs" if tries > 1 else None
    last = recent[-1]
    if last["end"] == "error":
        return str(last["reason"])
    twice = len(recent) > 1 and all(recent[-2][key] == last[key] for key in ("end", "reason", "mem_mb"))
    if twice and last["end"] == "failed":
        return f"the same error twice: {last['reason']}"
    if twice and last["end"] == "interrupted":
        return f"no progress in two tries ({last['reason']}): raise the variant's runtime"
    if twice and last["end"] == OUT_OF_MEMORY:
        return f"out of memory twice with {last['mem_mb'] or 'the default'} MB: raise the variant's mem_mb"
    return None


def memory(record: Path, mem_mb: int) -> int:
    """Return the memory to ask for, MB: twice what was too little before, and not less than what is configured."""
    short = [2 * entry["mem_mb"] for entry in read(record) if entry["end"] == OUT_OF_MEMORY]
    return max([mem_mb, *short])


def remove(record: Path) -> None:
    """Remove the record of a job, and the folders that this leaves empty."""
    record.unlink(missing_ok=True)
    remove_empty(record.parent, levels=3)  # variant, data set, state


def _write(record: Path, entries: list[Entry]) -> None:
    with atomic(record) as temporary:
        temporary.write_text(json.dumps(entries[-KEPT:], indent=1) + "\n")
