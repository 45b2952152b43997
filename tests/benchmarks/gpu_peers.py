"""The peers on the same GPU: every contender in a process of its own, one call at a time, in turn."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from contenders.protocol import WORKLOADS
from pieces import Row, attempt, failed

from training import Contender, arrays

# Steps of one call, about a second of the slowest: whole calls of our loop, which does 20,000 images at a time.
STEPS = {"regression": 10_000, "hidden-relu": 5_000, "cnn batch 50": 1_200, "cnn batch 200": 500, "cnn batch 1000": 100}
# Of which contender of training.py, with which options. Ours is in half precision by default where there are
# convolutions, otherwise in float32 proper; JAX, and PyTorch in convolutions, round float32 to TF32 by default.
OURS = "mnist-hpc"
PEERS: dict[str, tuple[str, Row]] = {
    OURS: (OURS, {}),
    "mnist-hpc float32": (OURS, {"dtype_policy": "float32"}),
    "mnist-hpc TF32": (OURS, {"dtype_policy": "float32", "tf32": True}),
    "PyTorch": ("PyTorch", {}),
    "PyTorch compiled": ("PyTorch compiled", {}),
    "JAX": ("JAX", {}),
}
CNN_ONLY = ("mnist-hpc float32", "PyTorch compiled")
COMPILED = {"whole": True, "update": False}  # as on a GPU
LATER_CALLS = 5


def measure(data: Path, python: Path, threads: int, *, rehearsal: bool) -> Iterator[Row]:
    """Yield a row a call of every contender, in turn."""
    with arrays(data) as path:
        # With the batch of a rehearsal all convolutional workloads are the same.
        for workload, steps in [*STEPS.items()][: 3 if rehearsal else None]:
            length = {"steps": 3, "batch": 20} if rehearsal else {"steps": steps, "batch": WORKLOADS[workload].batch}
            convolutions = WORKLOADS[workload].net == "cnn"
            running: dict[str, Contender] = {}
            try:
                for name in (name for name in PEERS if convolutions or name not in CNN_ONLY):
                    kind, chosen = PEERS[name]
                    options = length | chosen | (COMPILED if rehearsal and kind == OURS else {})
                    starting = (kind, workload, path, python, threads, options)
                    try:
                        running[name] = Contender(*starting)
                    except (RuntimeError, OSError) as error:
                        yield attempt({"workload": workload, "contender": name, "call": "start"}, failed, error)
                images = length["steps"] * length["batch"]
                yield from in_turn(running, workload, images, later=1 if rehearsal else LATER_CALLS)
            finally:
                for contender in running.values():
                    contender.close()


def in_turn(running: Mapping[str, Contender], workload: str, images: int, later: int) -> Iterator[Row]:
    """Yield a row a call of contenders; one that fails is left out from then on."""
    names = list(running)
    for call in range(later + 1):
        start = call % max(1, len(names))
        for name in names[start:] + names[:start]:
            keys = {"workload": workload, "contender": name, "call": "later" if call else "first"}
            row = attempt(keys | {"round": max(call - 1, 0), "images": images}, running[name].train)
            if row["error"]:
                names.remove(name)
            else:
                row["images_per_second"] = images / row["seconds"]
            yield row
