"""What a result was made from: hashes of its specification, data and code, and the process that made it."""

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnist_hpc import __version__
from mnist_hpc.files.atomic import write_text

HASH_DIGITS = 12


def specification_hash(specification: Any) -> str:
    """Return a short hash of a JSON value; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(specification, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]


def identity(specification: Any, data_hash: str, code_hash: str) -> dict[str, str]:
    """Return the hashes that a result is bound to."""
    return {"spec_hash": specification_hash(specification), "data_hash": data_hash, "code_hash": code_hash}


def now() -> str:
    """Return the current time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts, and those of this process, as JSON; docs/results.md describes the keys."""
    own = {
        "finished": now(),
        "commit": commit(),
        "command": sys.orig_argv,
        "host": platform.node(),
        "python": platform.python_version(),
        "version": __version__,
    }
    write_text(path, json.dumps({**facts, **own}, indent=2, sort_keys=True) + "\n")


def file_hash(path: Path) -> str | None:
    """Return the SHA-256 of a file, or None if it does not exist."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def commit() -> str:
    """Return the commit of the code, with "+changes" if files differ from it; empty outside a git repository."""
    git = ("git", "-C", str(Path(__file__).parent))
    try:
        head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True, stderr=subprocess.DEVNULL)  # noqa: S603
        changes = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.strip()[:HASH_DIGITS] + ("+changes" if changes else "")
