"""The first minutes of a newcomer: a fresh clone and `make demo`, from set-up over the first accuracy to the report.

The packages come from uv's cache, if it has them. What is measured is what is committed.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from processes import bare_import

ROUNDS = 3
ROOT = Path(__file__).parents[2]


def measure(_data: Path, _peers: Path, _threads: int) -> list[dict[str, Any]]:
    """Return one row a moment, in seconds since the start and in times a bare ``import tensorflow`` of that round."""
    rows: list[dict[str, Any]] = []
    for round_ in range(ROUNDS):
        imported = bare_import()
        with tempfile.TemporaryDirectory() as folder:
            clone = Path(folder, "clone")
            subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
            moments = {"import tensorflow": imported, **demo(clone)}
        for what, seconds in moments.items():
            row = {"moment": what, "round": round_, "seconds": seconds, "imports": seconds / imported}
            rows.append(row)
            print(f"{what:20} {seconds:7.1f} s, {row['imports']:5.1f} times an import", flush=True)
    return rows


def demo(clone: Path) -> dict[str, float]:
    """Run the demo in a clone; return when it was set up, when it told the first accuracy, and when it ended, s."""
    moments: dict[str, float] = {}
    begin = time.perf_counter()
    said = []
    process = subprocess.Popen(
        ["make", "demo", f"PYTHON={sys.executable}"],
        cwd=clone,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        for what, words in (("set-up", "snakemake --profile"), ("first accuracy", "test accuracy")):
            if words in line:
                moments.setdefault(what, time.perf_counter() - begin)
    if process.wait():
        raise RuntimeError(f"make demo: {''.join(said)[-2000:]}")
    return moments | {"end": time.perf_counter() - begin}
