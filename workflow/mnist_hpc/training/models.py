"""Keras models from the layers of a variant, and trained models from a models file."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_hpc.data.splits import Split
from mnist_hpc.errors import UserError, reason
from mnist_hpc.study.layers import LAYERS
from mnist_hpc.training.losses import OUTPUTS
from mnist_hpc.training.models_file import read_models

# Predictions are made in batches of this size, so that their bits do not depend on the number of images.
PREDICTION_BATCH = 1000

# Names of Keras layers with Keras' arguments, as [{"Flatten": {}}, {"Dense": {"units": 10}}].
Layers = list[dict[str, dict[str, Any]]]


def inputs(values: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Return images uint8 (N, 28, 28) as float32 (N, 28, 28, 1) from 0 to 1; features pass unchanged."""
    if values.dtype == np.uint8:
        return tf.cast(values, tf.float32)[..., tf.newaxis] / 255.0
    return tf.convert_to_tensor(values)


def build(
    layers: Layers,
    input_shape: tuple[int, ...],
    seed: int,
    dtype_policy: str = "float32",
    kinds: Mapping[str, type[keras.Layer]] | None = None,
) -> keras.Sequential:
    """Return a Keras model with fresh weights; arguments as for ``fresh_layers``."""
    fresh = fresh_layers(layers, input_shape, seed, dtype_policy, kinds)
    return keras.Sequential([keras.Input(input_shape), *fresh])


def fresh_layers(
    layers: Layers,
    input_shape: tuple[int, ...],
    seed: int,
    dtype_policy: str = "float32",
    kinds: Mapping[str, type[keras.Layer]] | None = None,
) -> list[keras.Layer]:
    """Return Keras layers with fresh weights, in half the time that a model takes.

    The seed decides the initial weights and the random numbers of dropout and noise. ``dtype_policy`` is Keras' name of
    the precision of all layers but the last; weights and logits are always float32. ``kinds`` are classes in place of
    Keras' own of that name, see ``training.layers``. Raise UserError if a layer is not in the table of layers.
    """
    # Keras draws the seeds of initialisers, dropout and noise from here. keras.utils.set_random_seed would also seed
    # TensorFlow's generator, which nothing uses, and thereby make it optimise every graph again, 40 ms per run.
    random.seed(seed)
    made = []
    shape = (None, *input_shape)
    for index, layer in enumerate(layers, start=1):
        ((name, arguments),) = layer.items()
        # Models are exchanged between people, and Keras has layers that run code from a file, as Lambda; arguments
        # that are mappings make any layer create objects.
        if name not in LAYERS or any(isinstance(value, dict) for value in arguments.values()):
            raise UserError(
                f"layer {index}: found {name} with {arguments}, expected one of {', '.join(LAYERS)} "
                "with numbers and words"
            )
        dtype = dtype_policy if index < len(layers) else "float32"
        kind = (kinds or {}).get(name) or getattr(keras.layers, name)
        made.append(kind(**arguments, name=f"{index:02d}_{name.lower()}", dtype=dtype))
        made[-1].build(shape)
        shape = made[-1].compute_output_shape(shape)
    return made


def adapted(layers: Layers, train: Split) -> Layers:
    """Return layers whose first, if it is ``Normalization``, has mean and variance of the training data.

    Like Keras' ``adapt``: over all examples and pixels of a channel, or over all examples of a feature.
    """
    if "Normalization" not in layers[0]:
        return layers
    if train.inputs.dtype == np.uint8:
        counts, levels = np.bincount(train.inputs.ravel(), minlength=256), np.arange(256) / 255
        mean = np.average(levels, weights=counts)
        facts = {"mean": float(mean), "variance": float(np.average((levels - mean) ** 2, weights=counts))}
    else:
        facts = {"mean": train.inputs.mean(axis=0).tolist(), "variance": train.inputs.var(axis=0).tolist()}
    return [{"Normalization": facts}, *layers[1:]]


def input_shape(split: Split) -> tuple[int, ...]:
    """Return the shape of one example as models see it: (28, 28, 1) or (2,)."""
    return (*split.inputs.shape[1:], 1) if split.inputs.ndim == 3 else split.inputs.shape[1:]


def weights(model: keras.Model) -> dict[str, np.ndarray]:
    """Return every weight of a model, moving averages included, by ``<layer>/<weight>``."""
    return {f"{layer.name}/{variable.name}": variable.numpy() for layer in model.layers for variable in layer.weights}


def set_weights(model: keras.Model, values: dict[str, np.ndarray]) -> None:
    """Set the weights of a model to values that ``weights`` returned."""
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(values[f"{layer.name}/{variable.name}"])


def load(path: Path | str, seed: int | None = None) -> keras.Model:
    """Return a trained model: images float32 (N, 28, 28, 1) from 0 to 1 in, logits float32 (N, classes) out.

    ``path`` is a ``models.h5`` of this project; the seed is its first if None. Raise UserError if there is no such file
    or seed, the training of that seed failed, or the weights do not fit the layers.
    """
    specification, trained = read_models(Path(path))
    seed = min(trained) if seed is None else seed
    if seed not in trained:
        raise UserError(f"{path}: found seeds {', '.join(map(str, trained))}, expected --seed {seed} among them")
    if not trained[seed].weights:
        raise UserError(f"{path}: the training of seed {seed} failed, so it has no weights; choose another seed")
    try:
        model = build(specification["layers"], specification["input_shape"], seed)
        set_weights(model, trained[seed].weights)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: {reason(error)}; expected a file that a training of this project wrote") from None
    return model


def predictor(model: keras.Model, loss: str) -> tf.types.experimental.PolymorphicFunction:
    """Return a compiled function from example inputs to (logits, outputs between 0 and 1)."""

    # AutoGraph would take longer than the rest of the tracing, and writes files.
    @tf.function(autograph=False, reduce_retracing=True)
    def predict(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = model(inputs(values), training=False)
        return logits, OUTPUTS[loss](logits)

    return predict
