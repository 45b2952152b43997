"""How a training loop is compiled, chosen by measurement.

`make bench ONLY=engines` compares the choices; on 2 cores of an AMD EPYC with AVX-512:

- Dense nets on one thread: the plain graph. XLA is level, and takes longer to compile.
- Dense nets with a hidden layer on more threads, without dropout or noise: XLA, the whole loop as one program. Its
  products use all threads; those of the plain graph gain nothing from a second one.
- Convolutions: the plain graph. XLA on a CPU is several times slower. With many weights, the update of the weights is
  an XLA program of its own: one pass over them instead of a dozen.
- bfloat16 makes convolutions 1.3 to 1.9 times faster where the processor has instructions for it, and dense nets
  slower.

On a GPU the same choices hold, and dense nets are compiled by XLA whatever the threads; that was never measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnist_hpc.study.layers import LAYERS, names
from mnist_hpc.training import device


@dataclass(frozen=True)
class Engine:
    """How a loop is compiled."""

    whole: bool  # whether the whole loop is one XLA program
    update: bool  # whether the optimiser's part of a step is one
    dtype_policy: str  # Keras' name of the precision: float32, or mixed_bfloat16 (float32 weights)


def choose(specification: Mapping[str, Any], threads: int) -> Engine:
    """Return how to compile the loop of a variant on the device that TensorFlow sees, with its precision if it can."""
    layers = names(specification["layers"])
    dense = not any(LAYERS[name].convolution for name in layers)
    # XLA draws other random numbers, so results would depend on the engine by more than rounding.
    random = any(LAYERS[name].random for name in layers) or specification.get("augmentation")
    wanted = specification.get("dtype_policy", "float32")
    return Engine(
        whole=dense and not random and (device.has_gpu() or (threads > 1 and layers.count("Dense") > 1)),
        update=not dense,
        dtype_policy=wanted if wanted == "float32" or device.computes_in_bfloat16() else "float32",
    )
