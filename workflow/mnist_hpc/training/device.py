"""Start TensorFlow for one job: set threads and memory, and check for the required GPU."""

import contextlib
import gc
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mnist_hpc import __version__
from mnist_hpc.errors import NoGpuError
from mnist_hpc.files import provenance
from mnist_hpc.training import gpu_facts, gpu_slots, instruction_sets

# Variables that change the last bits, beside ONEDNN_MAX_CPU_ISA, which decides ``instruction_set``.
SETTINGS = (
    *("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "ONEDNN_DEFAULT_FPMATH_MODE"),
    *("NVIDIA_TF32_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
)
# XLA otherwise chooses kernels by their speed at that moment.
DETERMINISTIC_XLA = "--xla_gpu_deterministic_ops=true"
# What TensorFlow logs when it is imported.
LOG_LINES = "^WARNING: All log messages before absl::InitializeLog|^[IW][0-9]{4} [0-9:.]+ +[0-9]+ [a-z_]+\\.cc:"
# Keras imports these if it finds them but does not need them; hiding them halves the time of the import.
HIDDEN = ("sklearn", "matplotlib", "pandas", "scipy")


def prepare(threads: int, *, require_gpu: bool = False, gpu: bool = True) -> str:
    """Import TensorFlow with the job's threads and return its device: "GPU <model>" or "CPU <model>".

    Call it once, before any module that imports TensorFlow. Equal threads give bit-identical results. Without ``gpu``
    it computes on the CPU, whatever there is and whatever is required. Of several visible GPUs it takes one, see
    ``gpu_slots``. Raise NoGpuError if a GPU is required and none is visible.
    """
    if gpu:
        gpu_slots.take()
        if gpu_slots.visible() and "xla_gpu_deterministic_ops" not in os.environ.get("XLA_FLAGS", ""):
            os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {DETERMINISTIC_XLA}".strip()
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    import_keras()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    # float32 has 24 bits of precision; TF32, TensorFlow's default on a GPU, has 11.
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    # It makes nothing faster here, and it logs errors where noise is followed by a ReLU.
    tf.config.optimizer.set_experimental_options({"remapping": False})
    # It warns of functions that are traced again, as each training of a process has its own.
    tf.get_logger().setLevel("ERROR")
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return f"GPU {tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'unknown')}"
    if require_gpu and gpu:
        raise NoGpuError(
            f"a GPU is required and TensorFlow sees none on {platform.node()} (CUDA_VISIBLE_DEVICES is "
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}, TensorFlow {tf.__version__} built "
            f"{'with' if tf.test.is_built_with_cuda() else 'without'} CUDA); check that the job requested a GPU, "
            "that nvidia-smi shows it on that node, and that 'make env-gpu' made the environment"
        )
    return f"CPU {processor()}"


def import_keras() -> None:
    """Import Keras and TensorFlow without libraries that they do not need."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    hidden = [name for name in HIDDEN if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes an import fail
    # The million objects that the import creates stay alive, so the garbage collector need not scan them.
    gc.disable()
    try:
        with _without_log_lines():
            import keras  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _without_log_lines() -> Iterator[None]:
    """Keep TensorFlow's log lines during its import, whatever its log level, off standard error.

    Another process filters, so that what a crash says is not lost.
    """
    try:
        command = ["grep", "--line-buffered", "-vE", LOG_LINES]
        end, begin = os.pipe()
        reader = subprocess.Popen(command, stdin=end, stdout=2)  # noqa: S603
    except OSError:  # no grep, or no room for another process
        yield
        return
    kept = os.dup(2)
    os.dup2(begin, 2)
    os.close(begin)
    os.close(end)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        reader.wait()


def has_gpu() -> bool:
    """Return whether TensorFlow computes on a GPU; call it after ``prepare``."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def half_precision() -> str:
    """Return Keras' name of the fastest precision for which the device has instructions; call it after ``prepare``.

    That is mixed_bfloat16; mixed_float16 on the GPUs before it, from the V100 on; otherwise float32.
    """
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16" if capability >= (7, 0) else "float32"
    return "mixed_bfloat16" if "avx512_bf16" in instruction_sets.SETS.get(instruction_set(), ()) else "float32"


def instruction_set() -> str:
    """Return the highest instruction set of the processor that oneDNN may use, by its name; empty if unknown."""
    facts = _processor_facts()
    flags = facts.get("flags") or facts.get("Features", "")
    return instruction_sets.highest(flags.split(), os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper())


def kind(threads: int, dtype_policy: str) -> str:
    """Return what decides the last bits of a training beside its data, specification and code, as a folder's name.

    Between two devices of one kind, an interrupted training can move; call it after ``prepare``. It is the GPU with its
    compute capability, or the processor's instruction set, TensorFlow's version, the threads, the precision, and a hash
    of ``settings`` if there are any.
    """
    import tensorflow as tf

    if gpus := tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpus[0])
        capability = ".".join(map(str, details.get("compute_capability", ())))
        place = f"{details.get('device_name', 'GPU')} {capability}"
    else:
        place = f"{platform.machine()} {instruction_set()}"
    place = re.sub(r"[^A-Za-z0-9.]+", "-", place).strip("-")
    given = f"_settings-{provenance.specification_hash(settings())}" if settings() else ""
    return f"{place}_tensorflow-{tf.__version__}_threads-{threads}_{dtype_policy}{given}"


def settings() -> str:
    """Return the variables of the environment that change the last bits, as ``NAME=value NAME=value``."""
    return " ".join(f"{name}={os.environ[name]}" for name in SETTINGS if os.environ.get(name))


def processor() -> str:
    """Return the model name of this machine's processor."""
    return _processor_facts().get("model name") or platform.processor() or platform.machine()


def _processor_facts() -> dict[str, str]:
    """Return the kernel's facts about the first processor; none on systems other than Linux."""
    try:
        pairs = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
        return {name.strip(): value.strip() for name, _, value in pairs}
    except OSError:
        return {}


def versions() -> dict[str, str]:
    """Return the versions of what computes, its settings, and the host; call it after ``prepare``."""
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
        **gpu_facts.versions(),
        "settings": settings(),
    }
