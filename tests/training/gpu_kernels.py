"""Write which operations of TensorFlow have a kernel for GPUs, as TensorFlow with CUDA says; a GPU is not needed.

    make env-gpu && .venv/bin/python tests/training/gpu_kernels.py

The answer is ``gpu_kernels.json``, which ``test_gpu_kernels.py`` reads. It belongs to one version of TensorFlow.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

ANSWER = Path(__file__).with_suffix(".json")
# A GPU uses the kernels for GPUs, and those for any device where it has none.
DEVICES = ("GPU", "DEFAULT")
TYPES = {
    *("bool", "uint8", "int32", "uint32", "int64", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "resource", "variant"),
}


def merged(kernels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return kernels in which those that differ in the types of one attribute alone are one."""
    for attribute in sorted({name for kernel in kernels for name in kernel["types"]}):
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for kernel in kernels:
            others = {name: types for name, types in kernel["types"].items() if name != attribute}
            groups[json.dumps([kernel["device"], kernel["host"], others, attribute in kernel["types"]])].append(kernel)
        kernels = [
            {**first, "types": first["types"] | {attribute: sorted({t for k in group for t in k["types"][attribute]})}}
            if attribute in (first := group[0])["types"]
            else first
            for group in groups.values()
        ]
    return kernels


def main() -> None:
    """Ask TensorFlow and write its answer, a line for each operation."""
    import tensorflow as tf
    from tensorflow.python.framework import kernels

    if not tf.test.is_built_with_cuda():
        raise SystemExit("gpu_kernels.py: this TensorFlow was built without CUDA; run make env-gpu first")
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for kernel in kernels.get_all_registered_kernels().kernel:
        if kernel.device_type in DEVICES and not kernel.label:
            types = {
                one.name: sorted(TYPES & {tf.dtypes.as_dtype(number).name for number in one.allowed_values.list.type})
                for one in kernel.constraint
                if one.allowed_values.list.type
            }
            if all(types.values()):
                entry = {"device": kernel.device_type, "types": types, "host": sorted(kernel.host_memory_arg)}
                found[kernel.op].append(entry)
    lines = [f"  {json.dumps(name)}: {json.dumps(merged(found[name]))}" for name in sorted(found)]
    text = f'{{\n "tensorflow": "{tf.__version__}",\n "operations": {{\n' + ",\n".join(lines) + "\n }\n}\n"
    ANSWER.write_text(text)


if __name__ == "__main__":
    main()
