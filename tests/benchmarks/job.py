"""Where the time of a job goes, one seed, and the least that arithmetic and memory allow.

python job.py <variant> <folder of train.h5 and test.h5> <threads>     # in a process of its own
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
VARIANTS = ("regression", "hidden-relu", "cnn")
ROUNDS = 3


def measure(data: Path, _peers: Path, threads: int) -> list[dict[str, Any]]:
    """Return one row a piece of a job."""
    rows: list[dict[str, Any]] = []
    for variant in VARIANTS:
        # One seed of the CNN takes a minute.
        for round_ in range(1 if variant == "cnn" else ROUNDS):
            command = [sys.executable, __file__, variant, str(data), str(threads)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            pieces = json.loads(done.stdout.splitlines()[-1])
            rows += [{"variant": variant, "piece": name, "round": round_, "seconds": pieces[name]} for name in pieces]
            print(variant, " ".join(f"{name} {seconds:.3f} s," for name, seconds in pieces.items()), flush=True)
    return rows


def main(variant: str, data: Path, threads: int) -> None:
    """Do what the two stages of a job do, and print how long each piece took."""
    from mnist_hpc.data.splits import Split, read_split
    from mnist_hpc.files import hdf5
    from mnist_hpc.study.specification import Study
    from mnist_hpc.training import device

    specification = Study.read(ROOT / "config.yaml").variants[variant].specification
    threads = min(threads, specification["threads"])
    pieces: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = work()
        pieces[name] = time.perf_counter() - begin
        return result

    def read() -> list[Split]:
        with hdf5.reading(data / "train.h5") as file:
            return [read_split(file[part]) for part in ("train", "validation")]

    train, validation = timed("data", read)
    timed("import", lambda: device.prepare(threads))
    from mnist_hpc.training import evaluation, models
    from mnist_hpc.training.engine import choose
    from mnist_hpc.training.loop import Loop
    from mnist_hpc.training.models_file import Model
    from mnist_hpc.training.trainer import Trainer

    engine = choose(specification, threads)
    trainer = timed("first call", lambda: Trainer(Loop(specification, train, engine), validation))
    trained, weights = timed("training and validation", lambda: trainer.train(0, lambda _: None))
    pieces["training"] = trained.facts["train_seconds"]
    pieces["validation"] = pieces.pop("training and validation") - pieces["training"]
    with hdf5.reading(data / "test.h5") as file:
        test = read_split(file)
    header = {**specification, "input_shape": models.input_shape(train)}
    timed("evaluation", lambda: evaluation.evaluate(header, {0: Model(trained.facts, weights)}, test, classes=10))
    images = trainer.loop.steps * trainer.loop.batch
    half = engine.dtype_policy != "float32"
    pieces["floor: arithmetic"] = images * flop(trainer.loop.model) / products(half=half)
    # Weights, gradients and averages of each step, and its images, once through memory.
    copies = 7 if "Adam" in specification["optimizer"] else 3
    pieces["floor: memory"] = (
        trainer.loop.steps * trainer.loop.facts["parameters"] * 4 * copies + images * 784
    ) / bandwidth()
    print(json.dumps(pieces))


def flop(model: Any) -> float:
    """Return the operations an image costs, forward and backward; the first layer needs no slope of its input."""
    layers = [layer for layer in model.layers if hasattr(layer, "kernel")]
    forward = [
        2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1], start=1)  # at each place
        for layer in layers
    ]
    return 3 * sum(forward) - forward[0]


def products(*, half: bool) -> float:
    """Return FLOP/s of large matrix products, with this process' threads."""
    import tensorflow as tf

    matrix = tf.cast(tf.random.stateless_uniform((2000, 2000), [0, 1]), tf.bfloat16 if half else tf.float32)
    tf.matmul(matrix, matrix)
    begin = time.perf_counter()
    for _ in range(10):
        tf.matmul(matrix, matrix).numpy()
    return 10 * 2 * 2000**3 / (time.perf_counter() - begin)


def bandwidth() -> float:
    """Return bytes/s of copying, read and written bytes both counted."""
    source = np.ones(50_000_000, np.float32)
    target = np.empty_like(source)
    target[:] = source
    begin = time.perf_counter()
    for _ in range(5):
        target[:] = source
    return 5 * 2 * source.nbytes / (time.perf_counter() - begin)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
