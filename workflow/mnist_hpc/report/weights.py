"""Trained models for a browser: the few operations that ``net.js`` knows, with their weights as 16-bit numbers.

Layers become operations, so that the browser need not know Keras' layers: noise and dropout vanish, both kinds of
normalisation by stored statistics are one ``affine``, a separable convolution is two, a global pooling is a pooling.

Kernels are stored as whole numbers from -32,767 to 32,767 times a step of their own: in the probabilities of this
project's nets, ten times as exact as float16, which is as long.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mnist_hpc.errors import UserError
from mnist_hpc.study import schema
from mnist_hpc.study.layers import Arguments, Shape, output_shape, pair

# An operation of net.js: its name as "op", and its arguments, among which are arrays.
Operation = dict[str, Any]
Weights = Mapping[str, np.ndarray]

IMAGE = (28, 28, 1)
# What turns logits into values between 0 and 1, by loss.
OUTPUTS = {"CategoricalCrossentropy": "softmax", "SquaredError": "sigmoid"}
LARGEST = 2**15 - 1  # of the whole numbers
# Keras' defaults.
EPSILON = 1e-3
NEGATIVE_SLOPE = 0.3


def exported(specification: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """Return a model as net.js needs it, for JSON: ``operations``, ``output``, and ``weights`` as text.

    Args:
        specification: What a models file says of its models, see ``models_file.read_models``.
        weights: Weights of one of them, by ``<layer>/<weight>``.

    Raises:
        UserError: The model does not classify images of 28×28 pixels, has a layer or an argument of a layer that is not
            supported, or lacks weights.
    """
    shape, (loss,) = tuple(specification["input_shape"]), specification["loss"]
    if shape != IMAGE:
        raise UserError(f"found inputs of shape {shape}, expected {IMAGE}; a drawing is an image")
    kernels = bytearray()
    lowered = operations(specification["layers"], weights)
    return {
        "operations": [{key: _stored(value, kernels) for key, value in step.items()} for step in lowered],
        "output": OUTPUTS[loss],
        "weights": base64.b64encode(kernels).decode(),
    }


def operations(layers: Sequence[Mapping[str, Arguments]], weights: Weights, shape: Shape = IMAGE) -> list[Operation]:
    """Return the operations of a model on one example of a shape, with arrays in float32; raises as ``exported``."""
    _check(layers)
    found: list[Operation] = []
    for place, layer in enumerate(layers, start=1):
        ((name, arguments),) = layer.items()
        if name not in LOWERED:
            raise UserError(
                f"layer {place}: found {name}, which a browser cannot compute here, expected one of "
                f"{', '.join(LOWERED)}; draw with other variants"
            )
        prefix = f"{place:02d}_{name.lower()}/"  # as training.models names layers
        own = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
        try:
            found += LOWERED[name](arguments, own, shape)
        except KeyError as missing:
            raise UserError(f"layer {place}: {name} has no {missing} in the file; train it again") from None
        shape = output_shape(name, arguments, shape)
    return found


def linear(model: Mapping[str, Any]) -> int | None:
    """Return which operation of an exported model is its matrix if it is linear in the pixels, else None."""
    steps = model["operations"]
    plain = [step["op"] for step in steps] == ["reshape", "dense"] and not steps[1]["activation"]
    return 1 if plain and steps[1]["kernel"]["shape"][0] == 28 * 28 else None


def _stored(value: Any, kernels: bytearray) -> Any:
    """Return an argument of an operation for JSON; a matrix is appended to ``kernels`` as little-endian int16.

    In its place stand its ``shape``, its first byte in ``kernels`` (``start``) and the ``step`` of its numbers. Vectors
    are short, and single elements may be far larger than the others: they are written as they are, in float32.
    """
    if not isinstance(value, np.ndarray):
        return value
    if value.ndim == 1:
        return {"shape": list(value.shape), "values": [float(str(number)) for number in value.astype(np.float32)]}
    step, start = float(np.abs(value).max()) / LARGEST or 1.0, len(kernels)
    kernels += np.rint(value.astype(np.float64) / step).astype("<i2").tobytes()
    return {"shape": list(value.shape), "start": start, "step": step}


def _check(layers: Sequence[Mapping[str, Arguments]]) -> None:
    """Raise UserError for layers or arguments that no config may have; models are exchanged between people."""
    # Statistics of the training data are no arguments in a config, see training.models.adapted.
    plain: list[Arguments] = [{"Normalization": {}} if "Normalization" in layer else dict(layer) for layer in layers]
    schema.validate_variant("the model", {"layers": plain})


def _activated(arguments: Arguments) -> dict[str, str]:
    name = arguments.get("activation", "linear")
    return {"activation": "" if name == "linear" else name}


def _biased(arguments: Arguments, own: Weights) -> dict[str, np.ndarray]:
    return {"bias": own["bias"]} if arguments.get("use_bias", True) else {}


def _window(arguments: Arguments, size: Any, strides: Any) -> dict[str, Any]:
    """Return the window of a convolution or pooling: [rows, columns] of its size and its steps, and its padding."""
    return {
        "size": list(pair(size)),
        "strides": list(pair(arguments.get("strides", strides))),
        "same": arguments.get("padding", "valid") == "same",
    }


def _normalization(arguments: Arguments, _own: Weights, shape: Shape) -> list[Operation]:
    mean, variance = (np.broadcast_to(np.float64(arguments[key]), shape[-1:]) for key in ("mean", "variance"))
    scale = 1 / np.maximum(np.sqrt(variance), 1e-7)
    return [{"op": "affine", "scale": scale, "offset": -mean * scale}]


def _batch_normalization(arguments: Arguments, own: Weights, _shape: Shape) -> list[Operation]:
    gamma, beta = _gamma_and_beta(arguments, own, own["moving_mean"])
    scale = gamma / np.sqrt(own["moving_variance"].astype(np.float64) + arguments.get("epsilon", EPSILON))
    return [{"op": "affine", "scale": scale, "offset": beta - own["moving_mean"] * scale}]


def _layer_normalization(arguments: Arguments, own: Weights, shape: Shape) -> list[Operation]:
    gamma, beta = _gamma_and_beta(arguments, own, np.zeros(shape[-1:]))
    epsilon = arguments.get("epsilon", EPSILON)
    return [{"op": "normalize", "epsilon": epsilon, "scale": gamma, "offset": beta}]


def _gamma_and_beta(arguments: Arguments, own: Weights, like: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gamma = own["gamma"] if arguments.get("scale", True) else np.ones_like(like)
    beta = own["beta"] if arguments.get("center", True) else np.zeros_like(like)
    return gamma, beta


def _reshape(name: str) -> Callable[[Arguments, Weights, Shape], list[Operation]]:
    return lambda arguments, _own, shape: [{"op": "reshape", "shape": list(output_shape(name, arguments, shape))}]


def _dense(arguments: Arguments, own: Weights, _shape: Shape) -> list[Operation]:
    return [{"op": "dense", "kernel": own["kernel"], **_biased(arguments, own), **_activated(arguments)}]


def _convolution(arguments: Arguments, own: Weights, _shape: Shape) -> list[Operation]:
    window = _window(arguments, arguments["kernel_size"], 1)
    return [{"op": "conv", **window, "kernel": own["kernel"], **_biased(arguments, own), **_activated(arguments)}]


def _depthwise(arguments: Arguments, own: Weights, _shape: Shape) -> list[Operation]:
    window = _window(arguments, arguments["kernel_size"], 1)
    return [{"op": "depthwise", **window, "kernel": own["kernel"], **_biased(arguments, own), **_activated(arguments)}]


def _separable(arguments: Arguments, own: Weights, shape: Shape) -> list[Operation]:
    first = {key: value for key, value in arguments.items() if key != "activation"} | {"use_bias": False}
    second = {"kernel_size": 1, "activation": arguments.get("activation", "linear")}
    second["use_bias"] = arguments.get("use_bias", True)
    pointwise = {**own, "kernel": own["pointwise_kernel"]}
    depthwise = {"kernel": own["depthwise_kernel"]}
    return [*_depthwise(first, depthwise, shape), *_convolution(second, pointwise, shape)]


def _pooling(kind: str) -> Callable[[Arguments, Weights, Shape], list[Operation]]:
    def lowered(arguments: Arguments, _own: Weights, _shape: Shape) -> list[Operation]:
        size = arguments.get("pool_size", 2)
        return [{"op": kind, **_window(arguments, size, size)}]

    return lowered


def _global_pooling(kind: str) -> Callable[[Arguments, Weights, Shape], list[Operation]]:
    def lowered(_arguments: Arguments, _own: Weights, shape: Shape) -> list[Operation]:
        window = _window({}, shape[:2], shape[:2])
        return [{"op": kind, **window}, {"op": "reshape", "shape": [shape[2]]}]

    return lowered


def _activation(arguments: Arguments, _own: Weights, _shape: Shape) -> list[Operation]:
    return [{"op": "activate", **_activated(arguments)}]


def _relu(_arguments: Arguments, _own: Weights, _shape: Shape) -> list[Operation]:
    return [{"op": "activate", "activation": "relu"}]


def _leaky_relu(arguments: Arguments, _own: Weights, _shape: Shape) -> list[Operation]:
    slope = arguments.get("negative_slope", NEGATIVE_SLOPE)
    return [{"op": "activate", "activation": "leaky_relu", "parameter": slope}]


def _elu(arguments: Arguments, _own: Weights, _shape: Shape) -> list[Operation]:
    return [{"op": "activate", "activation": "elu", "parameter": arguments.get("alpha", 1.0)}]


def _nothing(_arguments: Arguments, _own: Weights, _shape: Shape) -> list[Operation]:
    return []


# From a layer's arguments, its weights and the shape of one example before it, to its operations.
LOWERED: dict[str, Callable[[Arguments, Weights, Shape], list[Operation]]] = {
    "Normalization": _normalization,
    "Flatten": _reshape("Flatten"),
    "Reshape": _reshape("Reshape"),
    "Dense": _dense,
    "Conv2D": _convolution,
    "SeparableConv2D": _separable,
    "DepthwiseConv2D": _depthwise,
    "MaxPooling2D": _pooling("max"),
    "AveragePooling2D": _pooling("mean"),
    "GlobalAveragePooling2D": _global_pooling("mean"),
    "GlobalMaxPooling2D": _global_pooling("max"),
    "Dropout": _nothing,
    "SpatialDropout2D": _nothing,
    "GaussianNoise": _nothing,
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
}
