"""Start TensorFlow for one job: threads, memory, and whether the GPU that was asked for is there."""

import gc
import os
import platform
import sys
from pathlib import Path

from mnist_hpc import __version__
from mnist_hpc.errors import UserError

# Keras imports these if it finds them, and needs none of them: hiding them halves the time of the import.
HIDDEN = ("sklearn", "matplotlib", "pandas", "scipy")


def prepare(threads: int, *, require_gpu: bool = False) -> str:
    """Import TensorFlow, bind it to the job's threads, and return the device it will compute on.

    Call it once, before any module that imports TensorFlow.

    Args:
        threads: CPU threads of the job, 1 or more. Results are bit for bit reproducible for equal threads.
        require_gpu: fail when TensorFlow sees no GPU, which by itself it only warns of.

    Returns:
        "GPU <model>" or "CPU <model>".

    Raises:
        UserError: ``require_gpu`` and no GPU is visible.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    hidden = [name for name in HIDDEN if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes an import fail
    # What an import makes stays: the collector need not look for garbage among a million objects, now or later.
    gc.disable()
    try:
        import keras  # noqa: F401
        import tensorflow as tf
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    # Of no measured use here, and it fills the log with errors where noise is followed by a ReLU.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return f"GPU {tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'unknown')}"
    if require_gpu:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise UserError(
            f"a GPU is required and TensorFlow sees none on {platform.node()} "
            f"(CUDA_VISIBLE_DEVICES is {visible}, TensorFlow {tf.__version__} built "
            f"{'with' if tf.test.is_built_with_cuda() else 'without'} CUDA); check that the job asked for a GPU, "
            "that nvidia-smi shows it on that node, and that the environment is the one of 'make env-gpu'"
        )
    return f"CPU {processor()}"


def has_gpu() -> bool:
    """Return whether TensorFlow computes on a GPU; call it after ``prepare``."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def computes_in_bfloat16() -> bool:
    """Return whether the device has instructions for bfloat16, so that it is faster; call it after ``prepare``."""
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0)) >= (8, 0)
    flags = _processor_facts().get("flags", "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def processor() -> str:
    """Return the model name of this machine's processor."""
    return _processor_facts().get("model name") or platform.processor() or platform.machine()


def _processor_facts() -> dict[str, str]:
    """Return what the kernel says of the processor; nothing where it is not Linux."""
    try:
        pairs = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
        return {name.strip(): value.strip() for name, _, value in pairs}
    except OSError:
        return {}


def versions() -> dict[str, str]:
    """Return the versions of what computes, and the host; call it after ``prepare``."""
    import keras
    import numpy as np
    import tensorflow as tf

    return {
        "version": __version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "host": platform.node(),
    }
