"""Shapes of layer outputs, worked out without TensorFlow: a wrong net is refused before a job is queued."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mnist_hpc.errors import UserError

Shape = tuple[int, ...]
Arguments = Mapping[str, Any]

IMAGE_LAYERS = {
    *("Conv2D", "SeparableConv2D", "DepthwiseConv2D", "MaxPooling2D", "AveragePooling2D"),
    *("GlobalAveragePooling2D", "GlobalMaxPooling2D", "SpatialDropout2D"),
    *("RandomTranslation", "RandomRotation", "RandomZoom", "RandomShear"),
}


def output_shape(layer: str, arguments: Arguments, shape: Shape) -> Shape:
    """Return the shape of one example after a Keras layer.

    Args:
        layer: name of a Keras layer of the config's schema.
        arguments: Keras' arguments.
        shape: of one example before it, as (28, 28, 1).

    Raises:
        UserError: the layer cannot work on this shape.
    """
    if layer in IMAGE_LAYERS and len(shape) != 3:
        raise UserError(f"found an input of shape {shape}, expected (rows, columns, channels) for {layer}")
    if layer == "Flatten":
        return (math.prod(shape),)
    if layer == "Reshape":
        target = tuple(arguments["target_shape"])
        if math.prod(target) != math.prod(shape):
            raise UserError(f"found target_shape {list(target)}, expected {math.prod(shape)} values in all")
        return target
    if layer == "Dense":
        return (*shape[:-1], arguments["units"])
    if layer in ("GlobalAveragePooling2D", "GlobalMaxPooling2D"):
        return shape[-1:]
    if layer in ("Conv2D", "SeparableConv2D"):
        return (*_window(layer, arguments, shape, arguments["kernel_size"], 1), arguments["filters"])
    if layer == "DepthwiseConv2D":
        window = _window(layer, arguments, shape, arguments["kernel_size"], 1)
        return (*window, shape[2] * arguments.get("depth_multiplier", 1))
    if layer in ("MaxPooling2D", "AveragePooling2D"):
        size = arguments.get("pool_size", 2)
        return (*_window(layer, arguments, shape, size, size), shape[2])
    return shape


def _window(layer: str, arguments: Arguments, shape: Shape, size: Any, strides: Any) -> Shape:
    """Return rows and columns after a window of ``size`` has moved over the image by ``strides``."""
    sizes, steps = _pair(size), _pair(arguments.get("strides", strides))
    if arguments.get("padding", "valid") == "same":
        return tuple(-(-length // step) for length, step in zip(shape[:2], steps, strict=True))
    if any(size > length for size, length in zip(sizes, shape[:2], strict=True)):
        raise UserError(
            f"found an input of {shape[0]}×{shape[1]} pixels, expected at least {sizes[0]}×{sizes[1]} for {layer}; "
            "use a smaller window or padding: same"
        )
    return tuple((length - size) // step + 1 for length, size, step in zip(shape[:2], sizes, steps, strict=True))


def _pair(value: Any) -> Sequence[int]:
    return (value, value) if isinstance(value, int) else value
