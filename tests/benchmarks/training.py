"""Training, side by side: every contender in a process of its own, one call at a time, in turn.

All processes but the one whose turn it is are stopped: threads that wait busily would take time from it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from contenders.protocol import WORKLOADS

from mnist_hpc.data.splits import read_split
from mnist_hpc.files import hdf5

CONTENDERS = Path(__file__).parent / "contenders"
# Of which file, in whose environment: "own" or "peers".
FILES = {
    "mnist-hpc": ("ours", "own"),
    "Keras fit": ("keras_fit", "own"),
    "PyTorch": ("torch_eager", "peers"),
    "PyTorch compiled": ("torch_compile", "peers"),
    "JAX": ("jax_scan", "peers"),
    "scikit-learn": ("sklearn_partial", "own"),
}
DENSE = ("mnist-hpc", "Keras fit", "PyTorch", "JAX", "scikit-learn")
CNN = ("mnist-hpc", "Keras fit", "PyTorch", "PyTorch compiled", "JAX")
# Number of times that the processes are restarted, for a first call each time, and of later calls.
PLAN = {
    "regression": (DENSE, 5, 2),
    "hidden-relu": (DENSE, 5, 2),
    "cnn batch 50": (CNN, 2, 5),
    "cnn batch 200": (CNN, 2, 5),
}


class Contender:
    """A process that trains on request."""

    def __init__(
        self, name: str, workload: str, data: Path, peers: Path, threads: int, options: Mapping[str, Any] | None = None
    ) -> None:
        file, where = FILES[name]
        command = [sys.executable if where == "own" else str(peers), str(CONTENDERS / f"{file}.py")]
        self.name = name
        # Peers have an environment of their own, and share the memory of a GPU with others.
        environment = dict(os.environ) | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        if where == "peers":
            environment.pop("PYTHONPATH", None)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [*command, workload, str(data), str(threads), json.dumps(options or {})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
        )
        if self._read() != "ready":
            raise RuntimeError(f"{name} did not start: {' '.join(command)}: {self._last_words()}")
        self._process.send_signal(signal.SIGSTOP)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def train(self) -> dict[str, Any]:
        """Let it train once; return its seconds, its accuracy on the validation images, and its device."""
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._read()
        self._process.send_signal(signal.SIGSTOP)
        if not line:
            raise RuntimeError(f"{self.name} ended while training: {self._last_words()}")
        return dict(json.loads(line))

    def _last_words(self) -> str:
        """End the process and return the end of what it wrote to its standard error."""
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        return self._errors.read()[-1000:]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._errors.close()


@contextlib.contextmanager
def arrays(data: Path) -> Iterator[Path]:
    """Yield the training and validation images as a file that needs NumPy alone."""
    with hdf5.reading(data / "train.h5") as file:
        train, validation = (read_split(file[part]) for part in ("train", "validation"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(
            path,
            images=train.inputs,
            labels=train.labels,
            validation_images=validation.inputs,
            validation_labels=validation.labels,
        )
        yield path


def measure(data: Path, peers: Path, threads: int) -> list[dict[str, Any]]:
    """Return one row a call."""
    rows: list[dict[str, Any]] = []
    with arrays(data) as path:
        for workload, (names, starts, calls) in PLAN.items():
            for start in range(starts):
                with contextlib.ExitStack() as stack:
                    contenders = []
                    for name in names:
                        contenders.append(Contender(name, workload, path, peers, threads))
                        stack.callback(contenders[-1].close)
                    for call in range(calls + 1):
                        for contender in contenders[call % len(contenders) :] + contenders[: call % len(contenders)]:
                            result = contender.train()
                            kind = "later" if call else "first"
                            row = {"workload": workload, "images": WORKLOADS[workload].images}
                            row |= {"contender": contender.name, "call": kind}
                            rows.append(row | {"round": start * (calls if call else 1) + max(call - 1, 0)} | result)
                            print(
                                f"{workload:14} {contender.name:17} {kind:5} {result['seconds']:8.3f} s, "
                                f"validation accuracy {result['accuracy']:.3f}",
                                flush=True,
                            )
    return rows
