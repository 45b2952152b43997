"""The compiled loop of a training: data resident in memory, many steps a call, no Python a step.

What is compiled how was chosen by measurement (``make bench ONLY=engines``; 2 cores of an AMD EPYC with AVX-512):

- dense, one thread: the plain graph. XLA is level, and takes longer to compile.
- dense with a hidden layer, more threads, no dropout or noise: XLA, the whole loop as one program. Its products use
  all threads; those of the plain graph gain nothing from a second one.
- convolutions: the plain graph. XLA's on a CPU are several times slower. With many weights their update is an XLA
  program of its own: one pass over them instead of a dozen.
- bfloat16 makes convolutions 1.3 to 1.9 times faster where the processor has instructions for it, and dense nets
  slower.

On a GPU the same is done, and dense nets are compiled by XLA whatever the threads. That was never measured on one.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_hpc.data.splits import Split
from mnist_hpc.study.layers import LAYERS, names
from mnist_hpc.training import device, models
from mnist_hpc.training.augmentation import augment
from mnist_hpc.training.losses import LOSSES, one_hot, smoothed
from mnist_hpc.training.optimizers import is_kernel, optimizer

# From so many weights on their update is worth a program of its own.
MANY_WEIGHTS = 50_000
# Entries of the index array that a call of an XLA program takes: it has one size, filled up where fewer are needed.
CAPACITY = 200_000


@dataclass(frozen=True)
class Engine:
    """How a loop is compiled.

    Attributes:
        whole: the whole loop is one XLA program.
        update: the optimiser's part of a step is one.
        dtype_policy: Keras' name of the precision: float32, or mixed_bfloat16 (float32 weights).
    """

    whole: bool
    update: bool
    dtype_policy: str


def choose(specification: Mapping[str, Any], threads: int) -> Engine:
    """Return how to compile the loop of a variant on the device that TensorFlow sees.

    Args:
        specification: of the variant; its ``dtype_policy`` holds where the device computes in it by itself.
        threads: of the job.
    """
    layers = names(specification["layers"])
    dense = not any(LAYERS[name].convolution for name in layers)
    # XLA draws other random numbers: with dropout or noise, results would depend on the engine by more than rounding.
    random = any(LAYERS[name].random for name in layers) or specification.get("augmentation")
    wanted = specification.get("dtype_policy", "float32")
    return Engine(
        whole=dense and not random and (device.has_gpu() or (threads > 1 and layers.count("Dense") > 1)),
        update=not dense,
        dtype_policy=wanted if wanted == "float32" or device.computes_in_bfloat16() else "float32",
    )


def steps_of(specification: Mapping[str, Any], examples: int) -> int:
    """Return how many steps a training takes; an epoch ends with the last whole batch of all its passes."""
    return specification.get("steps") or specification["epochs"] * examples // batch_of(specification, examples)


def batch_of(specification: Mapping[str, Any], examples: int) -> int:
    """Return how many examples a step sees."""
    return examples if specification["batch_size"] == "full" else specification["batch_size"]


def batch_indices(seed: int, examples: int, batch: int, first: int, last: int) -> np.ndarray:
    """Return which examples the steps ``first`` to ``last`` - 1 see, int32 (last - first, batch).

    The batches are cut from one endless stream: all training examples shuffled anew for each epoch, one epoch after
    the other, as the lecture's ``next_batch`` does. The order depends on seed and epoch alone.

    Args:
        seed: of the run; together with the number of the epoch it decides the order.
        examples: number of training examples.
        batch: examples a step.
        first: number of the first step, from 0.
        last: number of the step after the last.
    """
    begin, end = first * batch, last * batch
    epochs = range(begin // examples, -(-end // examples))
    stream = np.concatenate([_permutation(seed, epoch, examples) for epoch in epochs])
    offset = epochs.start * examples
    return stream[begin - offset : end - offset].reshape(last - first, batch)


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, examples: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(examples).astype(np.int32)


class Loop:
    """A model with its optimiser, and the compiled functions that train and validate it.

    Attributes:
        engine: how it is compiled.
        settings: 1, see ``trainer.CompiledLoop``.
        steps: Steps of a run.
        batch: Examples per step.
        examples: Number of training examples.
        model: the Keras model.
        parameters: trainable weights of the model.
    """

    def __init__(self, specification: Mapping[str, Any], train: Split, engine: Engine) -> None:
        """Build; the functions are compiled by their first calls.

        Args:
            specification: of the variant.
            train: training examples.
            engine: how to compile.
        """
        self.engine = engine
        self.settings = 1
        self.examples = len(train.labels)
        self.batch = batch_of(specification, self.examples)
        self.steps = steps_of(specification, self.examples)
        self._layers, self._shape = specification["layers"], models.input_shape(train)
        self._augmentation = specification.get("augmentation", [])
        self._l2 = specification.get("l2", 0.0)
        self._scale = specification.get("initial_scale", 1.0)
        self.model = models.build(self._layers, self._shape, 0, engine.dtype_policy, training=True)
        self._optimizer = optimizer(specification, self.steps)
        self._averaging = self._optimizer.use_ema
        # As usual, and unlike Keras by itself: what is no kernel does not decay.
        others = [variable for variable in self.model.trainable_variables if not is_kernel(variable)]
        self._optimizer.exclude_from_weight_decay(var_list=others)
        self._optimizer.build(self.model.trainable_variables)
        self._fresh_optimizer = [variable.numpy() for variable in self._optimizer.variables]
        self.parameters = sum(math.prod(variable.shape) for variable in self.model.trainable_variables)
        ((loss, arguments),) = specification["loss"].items()
        self._loss, self._training_loss = LOSSES[loss], smoothed(loss, arguments)
        self._classes = self.model.output_shape[-1]
        self._inputs, self._labels = tf.constant(train.inputs), tf.constant(train.labels)
        self._update = self._compile_update()
        # Without AutoGraph, whose reading of the source takes as long as the rest of the tracing.
        self._validate = tf.function(self._validate_batch, autograph=False, reduce_retracing=True)
        if engine.whole:
            self._capacity = max(1, min(self.steps, CAPACITY // self.batch))
            shape: list[int | None] = [self._capacity, self.batch]
        else:
            shape = [None, self.batch]
        signature = [tf.TensorSpec(shape, tf.int32), *[tf.TensorSpec([], tf.int32)] * 3]
        self._run = tf.function(
            self._steps, autograph=False, jit_compile=engine.whole or None, input_signature=signature
        )

    @property
    def most_steps(self) -> int:
        """How many steps one call can do."""
        return self._capacity if self.engine.whole else 2**31 - 1

    @property
    def facts(self) -> dict[str, Any]:
        """What is recorded of every run."""
        return {
            "parameters": self.parameters,
            "batch_size": self.batch,
            "dtype_policy": self.engine.dtype_policy,
        }

    def start(self, seed: int) -> None:
        """Give model and optimiser the state in which a run of this seed begins."""
        layers = models.fresh_layers(self._layers, self._shape, seed, self.engine.dtype_policy)
        fresh = [variable for layer in layers for variable in layer.variables]
        for variable, other in zip(self.model.variables, fresh, strict=True):
            variable.assign(other * self._scale if is_kernel(variable) and self._scale != 1.0 else other)
        for variable, value in zip(self._optimizer.variables, self._fresh_optimizer, strict=True):
            variable.assign(value)

    def run(self, seed: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Train the steps ``first`` to ``last`` - 1, at most ``most_steps``; return their losses and accuracies.

        Both are float32 (steps, 1).
        """
        indices = batch_indices(seed, self.examples, self.batch, first, last)
        count = len(indices)
        if self.engine.whole:
            indices = np.pad(indices, ((0, self._capacity - count), (0, 0)))
        losses, accuracies = self._run(indices, np.int32(count), np.int32(seed), np.int32(first))
        return losses.numpy()[:count, np.newaxis], accuracies.numpy()[:count, np.newaxis]

    def validate(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        """Return loss and accuracy over all examples of a split, float64 (1,), of the averaged weights if there are."""
        with self._averaged():
            return summed(self._validate, split, 1)

    def weights(self) -> dict[str, np.ndarray]:
        """Return every weight of the model by name, averaged if its optimiser keeps an average."""
        with self._averaged():
            return models.weights(self.model)

    @contextlib.contextmanager
    def _averaged(self) -> Iterator[None]:
        """Give the model the running average of its weights, where its optimiser keeps one, for a while."""
        weights = self.model.trainable_variables
        live = [weight.numpy() for weight in weights] if self._averaging else []
        if self._averaging:
            self._optimizer.finalize_variable_values(weights)
        yield
        for weight, value in zip(weights, live, strict=False):
            weight.assign(value)

    def variables(self) -> Iterator[tuple[str, keras.Variable]]:
        """Yield everything that changes while training, by a name of its own."""
        for kind, variables in (("model", self.model.variables), ("optimizer", self._optimizer.variables)):
            for index, variable in enumerate(variables):
                yield f"{kind}/{index}", variable

    def _compile_update(self) -> Callable[..., None]:
        """Return a function that changes the weights by their gradients."""
        variables = self.model.trainable_variables

        def update(*gradients: tf.Tensor) -> None:
            self._optimizer.apply(list(gradients), variables)

        if self.engine.update and self.parameters >= MANY_WEIGHTS:
            return tf.function(update, autograph=False, jit_compile=True)
        return update

    def _steps(
        self, indices: tf.Tensor, count: tf.Tensor, seed: tf.Tensor, first: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Train one step for each of the first rows of indices: (loss, accuracy) of each."""
        size = indices.shape[0] or count
        arrays = [tf.TensorArray(tf.float32, size, element_shape=[]) for _ in range(2)]

        def step(
            number: tf.Tensor, losses: tf.TensorArray, accuracies: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.TensorArray, tf.TensorArray]:
            loss, accuracy = self._step(indices[number], seed, first + number)
            return number + 1, losses.write(number, loss), accuracies.write(number, accuracy)

        _, *arrays = tf.while_loop(lambda number, *_: number < count, step, (0, *arrays))
        return arrays[0].stack(), arrays[1].stack()

    def _step(self, indices: tf.Tensor, seed: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        labels = tf.gather(self._labels, indices)
        images, targets = models.inputs(tf.gather(self._inputs, indices)), one_hot(labels, self._classes)
        if self._augmentation:
            images = augment(images, self._augmentation, seed, number)
        with tf.GradientTape() as tape:
            logits = self.model(images, training=True)
            loss = tf.reduce_mean(self._training_loss(targets, logits))
            objective = loss + self._penalty() if self._l2 else loss
        self._update(*tape.gradient(objective, self.model.trainable_variables))
        return loss, tf.reduce_mean(hits(labels, logits))

    def _penalty(self) -> tf.Tensor:
        """Return L2 times the sum of the squares of all kernels, as Keras' regulariser of that name."""
        kernels = (variable for variable in self.model.trainable_variables if is_kernel(variable))
        return self._l2 * tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in kernels])

    def _validate_batch(self, values: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self.model(models.inputs(values), training=False)
        losses = self._loss(one_hot(labels, self._classes), logits)
        return tf.reduce_sum(losses), tf.reduce_sum(hits(labels, logits))


def summed(validate: Callable[..., Any], split: Split, settings: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean loss and accuracy over a split, float64 (settings,), of a function that sums over a batch."""
    size = len(split.labels)
    sums = np.zeros((2, settings))
    for begin in range(0, size, models.PREDICTION_BATCH):
        part = slice(begin, begin + models.PREDICTION_BATCH)
        losses, accuracies = validate(tf.constant(split.inputs[part]), tf.constant(split.labels[part]))
        sums += [np.atleast_1d(losses), np.atleast_1d(accuracies)]
    return sums[0] / size, sums[1] / size


def hits(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return 1.0 for each example whose largest logit is that of its class, else 0.0; float32 (..., batch)."""
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1), tf.cast(labels, tf.int64)), tf.float32)
