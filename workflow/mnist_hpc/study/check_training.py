"""Check what a training is asked to do, against its data: layers, batch size, optimiser and schedule."""

from collections.abc import Mapping
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.study import grids, schedules
from mnist_hpc.study.layers import output_shape, pair

# Limits on the gradient, of which an optimiser takes one.
CLIPPING = ("clipnorm", "global_clipnorm", "clipvalue")
# Layers for which TensorFlow has kernels with equal strides only, on CPUs and GPUs.
EQUAL_STRIDES = ("SeparableConv2D", "DepthwiseConv2D")


def check_training(place: str, keys: Mapping[str, Any], facts: tuple[int, tuple[int, ...], int], dataset: str) -> None:
    """Raise UserError if a variant asks for what its data do not allow; ``facts`` are those of ``Study.facts``."""
    classes, inputs, examples = facts
    for part in ("augmentation", "layers"):
        shape = inputs
        for index, layer in enumerate(keys.get(part, [])):
            ((name, arguments),) = layer.items()
            rows, columns = pair(arguments.get("strides", 1))
            if name in EQUAL_STRIDES and rows != columns:
                raise UserError(
                    f"{place}.{part}[{index}].{name}.strides: found {[rows, columns]}, expected the same number for "
                    "rows and columns, the only strides that TensorFlow has for this layer; Conv2D can have others"
                )
            try:
                shape = output_shape(name, arguments, shape)
            except UserError as error:
                raise UserError(f"{place}.{part}[{index}].{name}: {error}") from None
    if shape != (classes,) or name != "Dense" or arguments.get("activation", "linear") != "linear":
        raise UserError(
            f"{place}.layers: found a last layer {name} {dict(arguments)} with output {shape}, expected one logit "
            f"per class of {dataset}: a Dense layer of {classes} units without activation on flat inputs"
        )
    if any("Normalization" in layer for layer in keys["layers"][1:]):
        raise UserError(f"{place}.layers: found Normalization after other layers, expected it first")
    if "snapshots" in keys and len(inputs) != 1:
        raise UserError(f"{place}.snapshots: found images of {dataset}, expected a data set of points of the plane")
    batch = keys["batch_size"]
    if batch != "full" and batch > examples:
        raise UserError(
            f"{place}.batch_size: found {batch}, expected at most the {examples} training examples of "
            f"{dataset}, or full"
        )


def check_recipe(specification: Mapping[str, Any], examples: int) -> None:
    """Raise UserError if the optimiser or schedule of a training on so many examples makes no sense."""
    ((optimizer, arguments),) = specification["optimizer"].items()
    limits = [key for key in CLIPPING if key in arguments]
    if len(limits) > 1:
        raise UserError(f"optimizer.{optimizer}: found {' and '.join(limits)}, expected one of them")
    if isinstance(rate := arguments.get("learning_rate"), Mapping):
        try:
            schedules.check(rate, grids.steps_of(specification, examples))
        except UserError as error:
            raise UserError(f"optimizer.{optimizer}.learning_rate.{error}") from None
