"""The compiled loop of a training: data resident in memory, many steps per call, no Python per step."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_hpc.data.splits import Split
from mnist_hpc.study.grids import batch_of, steps_of
from mnist_hpc.training import augmentation, layers, models
from mnist_hpc.training.batches import batch_indices
from mnist_hpc.training.engine import Engine
from mnist_hpc.training.loss_scale import LossScale
from mnist_hpc.training.losses import LOSSES, one_hot, smoothed
from mnist_hpc.training.optimizers import is_kernel, optimizer
from mnist_hpc.training.program import Program

# With at least this many weights, their update is worth a program of its own.
MANY_WEIGHTS = 50_000
# Images of one call of an XLA program, which is not interrupted to answer a signal.
IMAGES_PER_CALL = 20_000


class Loop:
    """A model with its optimiser, and the compiled functions that train and validate it."""

    def __init__(self, specification: Mapping[str, Any], train: Split, engine: Engine) -> None:
        """Build; the first calls compile the functions."""
        self.engine = engine
        self.settings = 1
        self.examples = len(train.labels)
        self.batch = batch_of(specification, self.examples)
        self.steps = steps_of(specification, self.examples)
        # Steps of one call at most; None if calls may have any length, which then share one program.
        self.most_steps = max(1, IMAGES_PER_CALL // self.batch) if engine.whole else None
        self._layers, self._shape = specification["layers"], models.input_shape(train)
        self._augmentation = specification.get("augmentation", [])
        self._l2 = specification.get("l2", 0.0)
        self._scale = specification.get("initial_scale", 1.0)
        kinds = layers.FOR_XLA if engine.whole else layers.FOR_TRAINING
        self.model = models.build(self._layers, self._shape, 0, engine.dtype_policy, kinds)
        self._seeds = [0, *layers.own_seeds(self.model.layers)]  # of the run and of its layers, see ``start``
        self.parameters = sum(math.prod(variable.shape) for variable in self.model.trainable_variables)
        self._xla_update = engine.update and self.parameters >= MANY_WEIGHTS
        self._optimizer = optimizer(specification, self.steps, xla=engine.whole or self._xla_update)
        self._averaging = self._optimizer.use_ema
        # As usual, and unlike Keras' default: only kernels decay.
        others = [variable for variable in self.model.trainable_variables if not is_kernel(variable)]
        self._optimizer.exclude_from_weight_decay(var_list=others)
        self._optimizer.build(self.model.trainable_variables)
        self._loss_scale = LossScale() if engine.dtype_policy == "mixed_float16" else None
        self._optimizer_variables = [
            *self._optimizer.variables,
            *(self._loss_scale.variables if self._loss_scale else []),
        ]
        self._fresh_optimizer = [variable.numpy() for variable in self._optimizer_variables]
        ((loss, arguments),) = specification["loss"].items()
        self._loss, self._training_loss = LOSSES[loss], smoothed(loss, arguments)
        self._classes = self.model.output_shape[-1]
        # Variables, as a GPU can gather bytes from variables only.
        self._inputs, self._labels = (tf.Variable(values, trainable=False) for values in (train.inputs, train.labels))
        self._update = self._compile_update()
        self._validate = self._validation_of(self.model)
        # Models in float32 with what is computed of them; made when first asked for, see ``validate`` and ``losses``.
        self._exact: tuple[keras.Model, Callable[..., Any]] | None = None
        self._each: tuple[keras.Model, Callable[..., Any]] | None = None
        self.program = Program(self._step, self.batch, [(), ()], xla=engine.whole)

    @property
    def facts(self) -> dict[str, Any]:
        """What is recorded of every run."""
        return {"parameters": self.parameters, "batch_size": self.batch, "dtype_policy": self.engine.dtype_policy}

    def start(self, seed: int) -> None:
        """Set model and optimiser to the state in which a run of this seed begins."""
        made = models.fresh_layers(self._layers, self._shape, seed, self.engine.dtype_policy)
        self._seeds = [seed, *layers.own_seeds(made)]
        fresh = [variable for layer in made for variable in layer.variables]
        for variable, other in zip(self.model.variables, fresh, strict=True):
            variable.assign(other * self._scale if is_kernel(variable) and self._scale != 1.0 else other)
        for variable, value in zip(self._optimizer_variables, self._fresh_optimizer, strict=True):
            variable.assign(value)

    def run(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Train steps ``first`` to ``last`` - 1; return losses and accuracies (steps, 1).

        The losses are without label smoothing and L2, of which only the gradient knows.
        """
        examples = batch_indices(self._seeds[0], self.examples, self.batch, first, last)
        losses, accuracies = self.program(examples, self._seeds, first)
        return losses[:, np.newaxis], accuracies[:, np.newaxis]

    def validate(self, split: Split, *, exact: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return loss and accuracy over all examples of a split, float64 (1,), with averaged weights if any.

        With ``exact`` in float32, as the evaluation does; otherwise in the precision of the training, which is faster.
        """
        with self._averaged():
            if not exact or self.engine.dtype_policy == "float32":
                return summed(self._validate, split, 1)
            if self._exact is None:
                model = models.build(self._layers, self._shape, 0)
                self._exact = (model, self._validation_of(model))
            model, validate = self._exact
            models.set_weights(model, models.weights(self.model))
            return summed(validate, split, 1)

    def losses(self, split: Split) -> np.ndarray:
        """Return the loss of each example of a split, float32 (1, N), as ``validate`` computes them in float32."""
        if self._each is None:
            exact = models.build(self._layers, self._shape, 0)

            def losses(values: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
                logits = exact(models.inputs(values), training=False)
                return self._loss(one_hot(labels, self._classes), logits)[tf.newaxis]

            self._each = (exact, tf.function(losses, autograph=False, reduce_retracing=True))
        model, function = self._each
        models.set_weights(model, self.weights())
        return each(function, split)

    def finite(self) -> np.ndarray:
        """Return whether all weights are finite, averaged if there is an average, bool (1,)."""
        return np.array([all(np.isfinite(value).all() for value in self.weights().values())])

    def weights(self) -> dict[str, np.ndarray]:
        """Return every weight of the model by name, averaged if its optimiser keeps an average."""
        with self._averaged():
            return models.weights(self.model)

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Use the running average of the weights inside the block, if the optimiser keeps one and a step was done."""
        weights = self.model.trainable_variables
        averaged = self._averaging and self._optimizer.iterations.numpy() > 0
        live = [weight.numpy() for weight in weights] if averaged else []
        if averaged:
            self._optimizer.finalize_variable_values(weights)
        try:
            yield
        finally:
            for weight, value in zip(weights, live, strict=False):
                weight.assign(value)

    def variables(self) -> Iterator[tuple[str, keras.Variable]]:
        """Yield everything that changes while training, by a name of its own."""
        for kind, variables in (("model", self.model.variables), ("optimizer", self._optimizer_variables)):
            for index, variable in enumerate(variables):
                yield f"{kind}/{index}", variable

    def _compile_update(self) -> Callable[..., None]:
        """Return a function that changes the weights by their gradients."""
        variables = self.model.trainable_variables

        def apply(*gradients: tf.Tensor) -> None:
            self._optimizer.apply(list(gradients), variables)

        def update(*gradients: tf.Tensor) -> None:
            if self._loss_scale:
                self._loss_scale.apply(gradients, apply, [*variables, *self._optimizer.variables])
            else:
                apply(*gradients)

        if self._xla_update:
            return tf.function(update, autograph=False, jit_compile=True)
        return update

    def _step(self, examples: tf.Tensor, seeds: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Train one step; return loss and accuracy."""
        labels = tf.gather(self._labels, examples)
        images, targets = models.inputs(tf.gather(self._inputs, examples)), one_hot(labels, self._classes)
        if self._augmentation:
            warp = augmentation.warp_by_gathering if self.engine.whole else augmentation.warp
            images = augmentation.augment(images, self._augmentation, seeds[0], number, warp)
        layers.set_seeds(self.model.layers, seeds[1:], number)
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            loss = tf.reduce_mean(self._training_loss(targets, logits))
            objective = loss + self._penalty() if self._l2 else loss
            if self._loss_scale:
                objective = self._loss_scale.scaled(objective)
        self._update(*tape.gradient(objective, self.model.trainable_variables))
        if self._training_loss is not self._loss:
            loss = tf.reduce_mean(self._loss(targets, logits))
        return loss, tf.reduce_mean(hits(labels, logits))

    def _penalty(self) -> tf.Tensor:
        """Return L2 times the sum of the squares of all kernels, like Keras' L2 regulariser."""
        kernels = (variable for variable in self.model.trainable_variables if is_kernel(variable))
        return self._l2 * tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in kernels])

    def _validation_of(self, model: keras.Model) -> Callable[..., Any]:
        """Return a compiled function from examples and labels to the sums of a model's losses and hits."""

        def validate(values: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = model(models.inputs(values), training=False)
            losses = self._loss(one_hot(labels, self._classes), logits)
            return tf.reduce_sum(losses), tf.reduce_sum(hits(labels, logits))

        # Without AutoGraph, which takes as long as the rest of the tracing.
        return tf.function(validate, autograph=False, reduce_retracing=True)


def summed(validate: Callable[..., Any], split: Split, settings: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean loss and accuracy over a split, float64 (settings,), of a function that sums over a batch."""
    size = len(split.labels)
    sums = np.zeros((2, settings))
    for begin in range(0, size, models.PREDICTION_BATCH):
        part = slice(begin, begin + models.PREDICTION_BATCH)
        losses, accuracies = validate(tf.constant(split.inputs[part]), tf.constant(split.labels[part]))
        sums += [np.atleast_1d(losses), np.atleast_1d(accuracies)]
    return sums[0] / size, sums[1] / size


def each(losses: Callable[..., Any], split: Split) -> np.ndarray:
    """Return what a function from examples and labels says of each example of a split, float32 (settings, N)."""
    begins = range(0, len(split.labels), models.PREDICTION_BATCH)
    parts = (slice(begin, begin + models.PREDICTION_BATCH) for begin in begins)
    found = [losses(tf.constant(split.inputs[part]), tf.constant(split.labels[part])) for part in parts]
    return np.concatenate(found, axis=1)


def hits(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return 1.0 for each example that is classified correctly, else 0.0; float32 (..., batch)."""
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1), tf.cast(labels, tf.int64)), tf.float32)
