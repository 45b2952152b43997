"""The table of layers: what the project must know about each Keras layer in a config.

To add a layer, add its row here and its arguments to ``workflow/schemas/config.schema.yaml``. Shapes are worked out
without TensorFlow, so that a wrong net is refused before a job is queued.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnist_hpc.errors import UserError

Shape = tuple[int, ...]
Arguments = Mapping[str, Any]


def _reshaped(arguments: Arguments, shape: Shape) -> Shape:
    target = tuple(arguments["target_shape"])
    if math.prod(target) != math.prod(shape):
        raise UserError(f"found target_shape {list(target)}, expected {math.prod(shape)} values in all")
    return target


def _convolved(arguments: Arguments, shape: Shape) -> Shape:
    filters = arguments.get("filters") or shape[2] * arguments.get("depth_multiplier", 1)
    return (*_window(arguments, shape, arguments["kernel_size"], 1), filters)


def _pooled(arguments: Arguments, shape: Shape) -> Shape:
    size = arguments.get("pool_size", 2)
    return (*_window(arguments, shape, size, size), shape[2])


def _window(arguments: Arguments, shape: Shape, size: Any, strides: Any) -> Shape:
    """Return rows and columns after a window of ``size`` has moved over the image by ``strides``."""
    sizes, steps = pair(size), pair(arguments.get("strides", strides))
    if arguments.get("padding", "valid") == "same":
        return tuple(-(-length // step) for length, step in zip(shape[:2], steps, strict=True))
    if any(size > length for size, length in zip(sizes, shape[:2], strict=True)):
        raise UserError(
            f"found an input of {shape[0]}×{shape[1]} pixels, expected at least {sizes[0]}×{sizes[1]}; "
            "use a smaller window or padding: same"
        )
    return tuple((length - size) // step + 1 for length, size, step in zip(shape[:2], sizes, steps, strict=True))


def pair(value: Any) -> Sequence[int]:
    """Return rows and columns of a size that Keras takes as one number or two."""
    return (value, value) if isinstance(value, int) else value


@dataclass(frozen=True)
class Layer:
    """What the project must know of a layer."""

    # Returns the shape of one example after the layer, from its arguments and the shape before it.
    shape: Callable[[Arguments, Shape], Shape] = lambda _, shape: shape
    image: bool = False  # whether it needs inputs (rows, columns, channels)
    # Whether settings trained together may have it: "before" their first Dense layer, where they share their inputs,
    # "anywhere", or not at all ("").
    packed: str = ""
    random: bool = False  # whether it draws random numbers while training, which XLA would draw differently
    convolution: bool = False  # whether its cost is that of a convolution
    augmentation: bool = False  # whether it belongs in ``augmentation`` instead of ``layers``


LAYERS: dict[str, Layer] = {
    "Normalization": Layer(packed="before"),
    "Flatten": Layer(lambda _, shape: (math.prod(shape),), packed="before"),
    "Reshape": Layer(_reshaped, packed="before"),
    "Dense": Layer(lambda arguments, shape: (*shape[:-1], arguments["units"]), packed="anywhere"),
    "Conv2D": Layer(_convolved, image=True, convolution=True),
    "SeparableConv2D": Layer(_convolved, image=True, convolution=True),
    "DepthwiseConv2D": Layer(_convolved, image=True, convolution=True),
    "MaxPooling2D": Layer(_pooled, image=True),
    "AveragePooling2D": Layer(_pooled, image=True),
    "GlobalAveragePooling2D": Layer(lambda _, shape: shape[-1:], image=True),
    "GlobalMaxPooling2D": Layer(lambda _, shape: shape[-1:], image=True),
    "Dropout": Layer(packed="anywhere", random=True),
    "SpatialDropout2D": Layer(image=True, random=True),
    "GaussianNoise": Layer(packed="anywhere", random=True),
    "BatchNormalization": Layer(),
    "LayerNormalization": Layer(),
    "Activation": Layer(packed="anywhere"),
    "ReLU": Layer(packed="anywhere"),
    "LeakyReLU": Layer(packed="anywhere"),
    "ELU": Layer(packed="anywhere"),
    "RandomTranslation": Layer(image=True, augmentation=True),
    "RandomRotation": Layer(image=True, augmentation=True),
    "RandomZoom": Layer(image=True, augmentation=True),
    "RandomShear": Layer(image=True, augmentation=True),
}


def names(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of a variant's layers in their order."""
    return [name for layer in layers for name in layer]


def output_shape(layer: str, arguments: Arguments, shape: Shape) -> Shape:
    """Return the shape of one example after a layer; raise UserError if the layer cannot work on ``shape``."""
    if LAYERS[layer].image and len(shape) != 3:
        raise UserError(f"found an input of shape {shape}, expected (rows, columns, channels) for {layer}")
    return LAYERS[layer].shape(arguments, shape)
