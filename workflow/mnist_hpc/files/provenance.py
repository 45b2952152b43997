"""What a result was made from: hashes of its specification, data and code, and what ran it."""

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
from mnist_hpc.files.atomic import atomic

HASH_DIGITS = 12


def specification_hash(specification: Any) -> str:
    """Return a short hash of a JSON value; the order of keys makes no difference."""
    return hashlib.sha256(json.dumps(specification, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]


def identity(specification: Any, data_hash: str, code_hash: str) -> dict[str, str]:
    """Return the hashes that a result is bound to, and nothing else."""
    return {"spec_hash": specification_hash(specification), "data_hash": data_hash, "code_hash": code_hash}


def now() -> str:
    """Return the time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts, with those of this process, as JSON; results/README.md describes the keys."""
    own = {
        "finished": now(),
        "commit": commit(),
        "command": sys.orig_argv,
        "host": platform.node(),
        "python": platform.python_version(),
        "version": __version__,
    }
    with atomic(path) as temporary:
        temporary.write_text(json.dumps({**facts, **own}, indent=2, sort_keys=True) + "\n")


def file_hash(path: Path) -> str | None:
    """Return the SHA-256 of a file, None if it is not there."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def commit() -> str:
    """Return the commit of the code that runs, with "+changes" if files differ from it; empty outside of git."""
    git = ("git", "-C", str(Path(__file__).parent))
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S603
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip()[:HASH_DIGITS] + ("+changes" if changes.stdout else "")
