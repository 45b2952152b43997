"""How a training loop is compiled, chosen by measurement on a processor.

`make bench ONLY=engines` compares the choices; on 2 cores of an AMD EPYC with AVX-512:

- Dense nets on one thread: the plain graph. XLA is level, and takes longer to compile.
- Dense nets with a hidden layer on more threads, without dropout or noise: XLA, the whole loop as one program. Its
  products use all threads; those of the plain graph gain nothing from a second one.
- Convolutions: the plain graph. XLA on a CPU is several times slower. With many weights, the update of the weights is
  an XLA program of its own: one pass over them instead of a dozen.
- bfloat16 makes convolutions 1.3 to 1.9 times faster where the processor has instructions for it, and dense nets
  slower.

On a GPU every loop is one XLA program, as each operation of a graph is started from the host; that was never measured.
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
    dtype_policy: str  # Keras' name of the precision: float32, or a mixed one with float32 weights


def choose(specification: Mapping[str, Any], threads: int) -> Engine:
    """Return how to compile the loop of a variant on the device that TensorFlow sees, with its precision if it can.

    A variant asks for half precision as ``mixed_bfloat16``; the device decides which one that is.
    """
    layers = names(specification["layers"])
    dense = not any(LAYERS[name].convolution for name in layers)
    # On a processor, XLA draws different random numbers: results would depend on the threads by more than rounding.
    random = any(LAYERS[name].random for name in layers) or specification.get("augmentation")
    whole = device.has_gpu() or (dense and not random and threads > 1 and layers.count("Dense") > 1)
    half = specification.get("dtype_policy", "float32") != "float32"
    return Engine(
        whole=whole,
        update=not (dense or whole),
        dtype_policy=device.half_precision() if half else "float32",
    )
