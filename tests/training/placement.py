"""Where TensorFlow would compute the operations of a function on a GPU, and what goes between host and GPU for that.

It follows TensorFlow's rules: an operation is computed on the GPU if it has a kernel for its types there, otherwise on
the host. A kernel may want some of its inputs in the host's memory, and may leave results there. What a function is
given is in the host's memory if it is int32.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf
from gpu_kernels import ANSWER
from tensorflow.python.framework import op_def_registry

KNOWN = json.loads(ANSWER.read_text())
# Operations that call functions, and leave everything where functions have it. The host decides which branch it calls.
CALLS = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "Case", "While", "StatelessWhile"}
DECIDED_BY = ("cond", "branch_index")
LOOPS = {"While", "StatelessWhile"}


@dataclass
class Findings:
    """What a function would do on a GPU; copies as "type operation.input"."""

    operations: set[str] = field(default_factory=set)
    without_kernel: set[str] = field(default_factory=set)
    to_host: set[str] = field(default_factory=set)  # copies for which the host waits
    to_gpu: set[str] = field(default_factory=set)


def of_step(function: Any) -> Findings:
    """Return what the body of the only loop of a concrete function does."""
    library = {one.signature.name: one for one in function.graph.as_graph_def().library.function}
    nodes = [*function.graph.as_graph_def().node, *(node for one in library.values() for node in one.node_def)]
    (body,) = {node.attr["body"].func.name for node in nodes if node.op in LOOPS}
    findings = Findings()
    _inspect(library[body], library, findings)
    return findings


def of_function(function: Any) -> Findings:
    """Return what a concrete function does."""
    definition = function.function_def
    library = {one.signature.name: one for one in function.graph.as_graph_def().library.function}
    findings = Findings()
    _inspect(definition, library, findings)
    return findings


def _inspect(function: Any, library: Mapping[str, Any], findings: Findings) -> None:
    """Add what a function does, and what the functions do that it calls."""
    places = {}  # by TensorFlow's name of a value: its type, and whether it is in the host's memory
    for argument in function.signature.input_arg:
        dtype = tf.dtypes.as_dtype(argument.type).name
        places[argument.name] = (dtype, dtype == "int32")
    waiting = list(function.node_def)
    while waiting:  # the nodes stand in no order
        node = next(node for node in waiting if all(name in places for name in _inputs(node)))
        waiting.remove(node)
        _place(node, places, findings)
        for attribute in node.attr.values():
            if attribute.func.name in library:
                _inspect(library[attribute.func.name], library, findings)


def _inputs(node: Any) -> list[str]:
    return [name for name in node.input if not name.startswith("^")]  # not those that it only waits for


def _place(node: Any, places: dict[str, tuple[str, bool]], findings: Findings) -> None:
    """Add what a node does, and where its results are."""
    definition, kernel = op_def_registry.get(node.op), _kernel(node)
    findings.operations.add(node.op)
    if kernel is None:
        findings.without_kernel.add(node.op)

    def on_host(argument: str, dtype: str) -> bool:
        if node.op in CALLS:
            return dtype == "int32" or argument in DECIDED_BY
        return kernel is None or argument in kernel["host"]

    arguments = [name for argument in definition.input_arg for name, _ in _values(node, argument)]
    for value, argument in zip(_inputs(node), arguments, strict=True):
        dtype, is_on_host = places[value]
        if dtype != "resource" and is_on_host != on_host(argument, dtype):
            copies = findings.to_gpu if is_on_host else findings.to_host
            copies.add(f"{dtype} {node.op}.{argument}")
    for argument in definition.output_arg:
        for index, (name, dtype) in enumerate(_values(node, argument)):
            places[f"{node.name}:{name}:{index}"] = (dtype, on_host(name, dtype))


def _values(node: Any, argument: Any) -> Iterator[tuple[str, str]]:
    """Yield name and type of each value that an argument of an operation stands for."""
    if argument.type_list_attr:
        types = list(node.attr[argument.type_list_attr].list.type)
    else:
        number = argument.type or node.attr[argument.type_attr].type
        types = [number] * (node.attr[argument.number_attr].i if argument.number_attr else 1)
    for number in types:
        yield argument.name, tf.dtypes.as_dtype(number).name


def _kernel(node: Any) -> dict[str, Any] | None:
    """Return the kernel that a GPU uses for a node, if there is one."""
    for device in ("GPU", "DEFAULT"):
        for kernel in KNOWN["operations"].get(node.op, []):
            if kernel["device"] == device and all(
                tf.dtypes.as_dtype(node.attr[name].type).name in types for name, types in kernel["types"].items()
            ):
                return kernel
    return None
