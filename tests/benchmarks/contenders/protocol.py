"""What every contender shares: it loads its library and the data, then trains once for each line of its input.

    python <contender>.py <workload> <data.npz> <threads> [options as JSON]

Prints "ready" when library and data are in memory, then a line of JSON for each line it reads: ``seconds`` from there
to the trained weights, building and compiling included where it is the first, and ``accuracy`` on the validation
images, measured afterwards, and ``device``, "GPU" or "CPU". The clock runs inside the process, so starting it costs
nobody anything.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Workload:
    """One training.

    Attributes:
        net: "regression", "hidden" (128 ReLU) or "cnn" (the lecture's, with dropout).
        batch: images a step.
        steps: how many.
    """

    net: str
    batch: int
    steps: int

    @property
    def images(self) -> int:
        """Images seen in one training."""
        return self.batch * self.steps


WORKLOADS = {
    "regression": Workload("regression", 100, 1000),
    "hidden-relu": Workload("hidden", 100, 1000),
    "cnn batch 50": Workload("cnn", 50, 60),
    "cnn batch 200": Workload("cnn", 200, 20),
    "cnn batch 1000": Workload("cnn", 1000, 50),  # on a GPU alone
}
# Step sizes of SGD and of Adam.
RATES = {"regression": 0.5, "hidden": 0.25, "cnn": 0.0003}


@dataclass(frozen=True)
class Data:
    """Images uint8 (N, 28, 28) and labels uint8 (N,), for training and for validation."""

    images: np.ndarray
    labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray

    @property
    def inputs(self) -> np.ndarray:
        """Training images as float32 (N, 28, 28) from 0 to 1."""
        return self.images.astype(np.float32) / 255

    @property
    def validation_inputs(self) -> np.ndarray:
        """Validation images as float32 (N, 28, 28) from 0 to 1."""
        return self.validation_images.astype(np.float32) / 255


def order(workload: Workload, examples: int, seed: int) -> np.ndarray:
    """Return which images each step sees, int64 (steps, batch): reshuffled for each pass."""
    random = np.random.default_rng(seed)
    passes = -(-workload.images // examples)
    stream = np.concatenate([random.permutation(examples) for _ in range(passes)])
    return stream[: workload.images].reshape(workload.steps, workload.batch)


def serve(
    prepare: Callable[..., Callable[[int], Callable[[], np.ndarray]]], has_gpu: Callable[[], bool] = lambda: False
) -> None:
    """Answer the lines of standard input.

    Args:
        prepare: from workload, data, threads and options makes the function that trains: its argument is a seed, and it
            returns a function from nothing to the predicted classes of the validation images.
        has_gpu: tells whether the library computes on a GPU.

    The options "steps" and "batch" replace those of the workload.
    """
    name, path, threads = sys.argv[1:4]
    with np.load(path) as file:
        data = Data(file["images"], file["labels"], file["validation_images"], file["validation_labels"])
    options = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    workload = replace(WORKLOADS[name], **{key: options.pop(key) for key in ("steps", "batch") if key in options})
    train = prepare(workload, data, **{"threads": int(threads)} | options)
    device = "GPU" if has_gpu() else "CPU"
    print("ready", flush=True)
    for seed, _ in enumerate(sys.stdin):
        begin = time.perf_counter()
        predict = train(seed)
        seconds = time.perf_counter() - begin
        accuracy = float(np.mean(predict() == data.validation_labels))
        print(json.dumps({"seconds": seconds, "accuracy": accuracy, "device": device}), flush=True)
