"""Start TensorFlow, train a tiny convolution and run an XLA program; this is the trial job of ``make doctor``."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_hpc import options
from mnist_hpc.errors import UserError, reason
from mnist_hpc.files.atomic import write_text
from mnist_hpc.training import device

STEPS = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_gpu(parser)
    options.add_paths(
        parser,
        question="text file that the login node wrote",
        answer="JSON file to write, on the shared file system",
    )


def run(require_gpu: int, question: Path, answer: Path) -> None:
    """Write the device, the versions and the times of both programs; raise UserError if one of them fails."""
    begin = time.perf_counter()
    found: dict[str, Any] = {"device": device.prepare(threads=1, require_gpu=bool(require_gpu)), **device.versions()}
    seconds = {"start": time.perf_counter() - begin}
    for name, program in (("convolution", convolution), ("xla", compiled)):
        begin = time.perf_counter()
        first, last = _losses(name, program, found["device"])
        if not last < first:
            raise UserError(f"{found['device']}: the loss of the {name} program rose from {first:.3g} to {last:.3g}")
        seconds[name] = time.perf_counter() - begin
    write_text(answer, json.dumps(found | {"seconds": seconds, "question": question.read_text()}))


def _losses(name: str, program: Callable[[], tuple[float, float]], place: str) -> tuple[float, float]:
    """Return the first and the last loss of a program; raise UserError if TensorFlow cannot run it on this device."""
    import tensorflow as tf

    try:
        return program()
    except tf.errors.OpError as error:
        raise UserError(
            f"{place} starts, but fails in the {name} program: {reason(error)[:500]}; compare the driver (nvidia-smi) "
            "with docs/gpu.md"
        ) from None


def convolution() -> tuple[float, float]:
    """Train a convolution for some steps; return the first and the last loss."""
    import tensorflow as tf

    images = tf.random.stateless_normal((32, 28, 28, 1), seed=(0, 0))
    kernel = tf.Variable(tf.random.stateless_normal((3, 3, 1, 8), seed=(0, 1)))

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.nn.conv2d(images, kernel, strides=1, padding="SAME")))
        kernel.assign_sub(0.1 * tape.gradient(loss, kernel))
        return loss

    losses = [float(step()) for _ in range(STEPS)]
    return losses[0], losses[-1]


def compiled() -> tuple[float, float]:
    """Train a linear regression for some steps in a program compiled by XLA; return the first and the last loss."""
    import tensorflow as tf

    inputs = tf.random.stateless_normal((64, 16), seed=(0, 2))

    @tf.function(jit_compile=True)
    def train(weights: Any) -> Any:
        losses = []
        for _ in range(STEPS):
            outputs = tf.linalg.matvec(inputs, weights)
            losses.append(tf.reduce_mean(tf.square(outputs)))
            weights -= 0.1 * tf.linalg.matvec(inputs, outputs, transpose_a=True) / 64
        return tf.stack(losses)

    losses = train(tf.ones(16))
    return float(losses[0]), float(losses[-1])
