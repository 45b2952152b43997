"""Versions of what a GPU computes with; all are empty on a machine without one."""

import contextlib
import ctypes
import re
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/version")


def versions() -> dict[str, str]:
    """Return the versions of driver, CUDA runtime and cuDNN that are loaded; call it after ``device.prepare``."""
    import tensorflow as tf

    found = {"driver": _driver(), "cuda": "", "cudnn": ""}
    build = tf.sysconfig.get_build_info()
    if build.get("is_cuda_build") and tf.config.list_physical_devices("GPU"):
        # A library that TensorFlow has loaded is found by its name, wherever it lies.
        with contextlib.suppress(OSError, AttributeError):
            number = ctypes.c_int()
            ctypes.CDLL(f"libcudart.so.{build['cuda_version'].split('.')[0]}").cudaRuntimeGetVersion(
                ctypes.byref(number)
            )
            found["cuda"] = of_cuda(number.value)
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(f"libcudnn.so.{build['cudnn_version'].split('.')[0]}")
            library.cudnnGetVersion.restype = ctypes.c_size_t
            found["cudnn"] = of_cudnn(library.cudnnGetVersion())
    return found


def _driver() -> str:
    try:
        found = re.search(r"Module.*?\s(\d+(?:\.\d+)+)\s", DRIVER.read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def of_cuda(number: int) -> str:
    """Return CUDA's version from its number, 1000 times the major version plus 10 times the minor one."""
    return f"{number // 1000}.{number % 1000 // 10}"


def of_cudnn(number: int) -> str:
    """Return cuDNN's version from its number, which has two digits for the minor version and two for the patch."""
    return f"{number // 10_000}.{number % 10_000 // 100}.{number % 100}"
