"""How the loop is compiled, and in which precision: what ``loop.choose`` was decided by."""

import contextlib
from pathlib import Path
from typing import Any

from training import Contender, arrays

ENGINES = {
    "plain": {"whole": False, "update": False},
    "XLA for the update": {"whole": False, "update": True},
    "XLA": {"whole": True, "update": False},
}
WORKLOADS = ("regression", "hidden-relu", "cnn batch 50", "cnn batch 200")
ROUNDS = 3


def measure(data: Path, peers: Path, threads: int) -> list[dict[str, Any]]:
    """Return one row a call, with the number of the call in its process: the first one compiles."""
    rows: list[dict[str, Any]] = []
    with arrays(data) as path:
        for workload in WORKLOADS:
            cnn = workload.startswith("cnn")
            for name, chosen in ENGINES.items():
                if cnn and name == "XLA":
                    continue  # several times slower: minutes
                for policy in ("float32", "mixed_bfloat16"):
                    for count in (threads,) if cnn else range(1, threads + 1):
                        options = {**chosen, "dtype_policy": policy, "threads": count}
                        with contextlib.closing(
                            Contender("mnist-hpc", workload, path, peers, threads, options)
                        ) as contender:
                            for call in range(ROUNDS + 1):
                                seconds = contender.train()["seconds"]
                                row = {"workload": workload, "engine": name, "dtype_policy": policy, "threads": count}
                                rows.append(row | {"call": "later" if call else "first", "seconds": seconds})
                        print(f"{workload:14} {name:18} {policy:14} {count} threads {seconds:8.3f} s", flush=True)
    return rows
