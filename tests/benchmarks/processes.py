"""Whole processes: how long from start to end, and how much memory at most.

python processes.py <command>      # the small process between: a child inherits the peak of who starts it
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """Of a process and those it started and waited for.

    Attributes:
        seconds: wall time from before the start to after the end.
        megabytes: most memory that the process, or any single one below it, held, MB.
    """

    seconds: float
    megabytes: float


def run(command: Sequence[str], cwd: Path | None = None) -> Usage:
    """Run a command; raises RuntimeError with what it said if it fails."""
    between = [sys.executable, "-S", __file__, *command]
    done = subprocess.run(between, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:500]}: {(done.stdout + done.stderr)[-2000:]}")
    return Usage(**json.loads(done.stdout.splitlines()[-1]))


def bare_import() -> float:
    """Return how long Python takes to import TensorFlow and nothing else, s: the unit of what is short."""
    return min(run([sys.executable, "-c", "import tensorflow"]).seconds for _ in range(3))


def main(command: Sequence[str]) -> int:
    """Run a command, and print what it used."""
    begin = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "megabytes": usage.ru_maxrss * 1024 / 1e6}), flush=True)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
