"""Train a block of seeds of one variant: data resident in memory, many steps a call, no Python a step.

The batches are cut from one endless stream of indices: all training images shuffled anew for each epoch, one
epoch after the other, as the lecture's ``next_batch`` does. The order depends on seed and epoch alone.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_hpc import models
from mnist_hpc.losses import LOSSES, one_hot
from mnist_hpc.storage import Model, Split

HISTORY_POINTS = 20
# A loss this many times the first one never came back in practice; NaN and infinity count as exploded too.
EXPLODED = 1e4

Row = dict[str, Any]


def history_steps(steps: int) -> list[int]:
    """Return the steps after which a run is validated: about 20, evenly spaced, the last step among them."""
    return sorted({math.ceil(steps * point / HISTORY_POINTS) for point in range(1, HISTORY_POINTS + 1)})


def batch_indices(seed: int, examples: int, batch: int, first: int, last: int) -> np.ndarray:
    """Return which examples the steps ``first`` to ``last`` - 1 see, int32 (last - first, batch).

    Args:
        seed: of the run; together with the number of the epoch it decides the order.
        examples: number of training examples.
        batch: examples a step.
        first: number of the first step, from 0.
        last: number of the step after the last.
    """
    begin, end = first * batch, last * batch
    epochs = range(begin // examples, -(-end // examples))
    stream = np.concatenate([np.random.default_rng([seed, epoch]).permutation(examples) for epoch in epochs])
    offset = epochs.start * examples
    return stream[begin - offset : end - offset].astype(np.int32).reshape(last - first, batch)


class Trainer:
    """One compiled training loop that trains one seed after the other.

    Attributes:
        batch: examples a step.
        steps: steps a run.
        parameters: trainable weights of the model.
        compile_seconds: tracing and first call, paid once a block.
    """

    def __init__(self, specification: Mapping[str, Any], train: Split, validation: Split) -> None:
        self._layers = specification["layers"]
        self._shape = models.input_shape(train)
        self._examples = len(train.labels)
        self.batch = self._examples if specification["batch_size"] == "full" else specification["batch_size"]
        self.steps = specification.get("steps") or specification["epochs"] * self._examples // self.batch
        self._model = models.build(self._layers, self._shape, seed=0)
        ((name, arguments),) = specification["optimizer"].items()
        self._optimizer = getattr(keras.optimizers, name)(**arguments)
        self._optimizer.build(self._model.trainable_variables)
        self._fresh_optimizer = [variable.numpy() for variable in self._optimizer.variables]
        self.parameters = sum(math.prod(variable.shape) for variable in self._model.trainable_variables)
        self._loss = LOSSES[specification["loss"]]
        self._inputs, self._labels = tf.constant(train.inputs), tf.constant(train.labels)
        self._validation = validation
        begin = time.perf_counter()
        self._run = self._compile()
        self._start(seed=0)
        self._run(batch_indices(0, self._examples, self.batch, 0, 1))
        self._validate()
        self.compile_seconds = time.perf_counter() - begin

    def _compile(self) -> Callable[[np.ndarray], tuple[tf.Tensor, tf.Tensor]]:
        """Return a function that trains one step for each row of indices: (loss, accuracy) of each."""
        model, optimizer = self._model, self._optimizer
        inputs, labels = self._inputs, self._labels
        classes = model.output_shape[-1]

        @tf.function(input_signature=[tf.TensorSpec([None, self.batch], tf.int32)])
        def run(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            steps = tf.shape(indices)[0]
            losses = tf.TensorArray(tf.float32, steps)
            accuracies = tf.TensorArray(tf.float32, steps)
            for step in tf.range(steps):
                images = models.inputs(tf.gather(inputs, indices[step]))
                targets = one_hot(tf.gather(labels, indices[step]), classes)
                with tf.GradientTape() as tape:
                    logits = model(images, training=True)
                    loss = tf.reduce_mean(self._loss(targets, logits))
                gradients = tape.gradient(loss, model.trainable_variables)
                optimizer.apply(gradients, model.trainable_variables)
                losses = losses.write(step, loss)
                accuracies = accuracies.write(step, tf.reduce_mean(_hits(targets, logits)))
            return losses.stack(), accuracies.stack()

        @tf.function(reduce_retracing=True)
        def validate(values: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = model(models.inputs(values), training=False)
            targets = one_hot(targets, classes)
            return tf.reduce_sum(self._loss(targets, logits)), tf.reduce_sum(_hits(targets, logits))

        self._validate_batch = validate
        return run

    def _start(self, seed: int) -> None:
        """Give model and optimizer the state in which a run of this seed begins."""
        fresh = models.build(self._layers, self._shape, seed)
        for variable, other in zip(self._model.variables, fresh.variables, strict=True):
            variable.assign(other)
        for variable, value in zip(self._optimizer.variables, self._fresh_optimizer, strict=True):
            variable.assign(value)

    def _validate(self) -> tuple[float, float]:
        """Return loss and accuracy over all validation examples."""
        size = len(self._validation.labels)
        sums = np.zeros(2)
        for begin in range(0, size, models.PREDICTION_BATCH):
            part = slice(begin, begin + models.PREDICTION_BATCH)
            sums += self._validate_batch(
                tf.constant(self._validation.inputs[part]), tf.constant(self._validation.labels[part])
            )
        return float(sums[0] / size), float(sums[1] / size)

    def train(self, seed: int, report: Callable[[str], None]) -> tuple[Model, list[Row]]:
        """Train one seed from its initial weights to its last step.

        Args:
            seed: decides initial weights, batch order and dropout.
            report: receives a line of progress now and then.

        Returns:
            The trained model with its facts (``train_seconds`` are those of the compiled steps alone), and the
            learning curve: training loss and accuracy are means over the steps since the row before, as the
            model saw them (with dropout), those of validation are over all its examples. A run whose loss is
            not finite or exploded has status "failed", the number of that step from 1, and no weights.
        """
        self._start(seed)
        rows: list[Row] = []
        done, seconds, limit = 0, 0.0, math.inf
        for upto in history_steps(self.steps):
            indices = batch_indices(seed, self._examples, self.batch, done, upto)
            begin = time.perf_counter()
            losses, accuracies = (values.numpy() for values in self._run(indices))
            seconds += time.perf_counter() - begin
            if done == 0:
                limit = EXPLODED * max(1.0, losses[0])
            (exploded,) = np.nonzero(~(losses <= limit))
            if exploded.size:
                step = done + int(exploded[0]) + 1
                report(f"seed {seed}: failed at step {step} of {self.steps}: loss {losses[exploded[0]]}")
                facts = {"status": "failed", "failed_step": step, "steps": step, "train_seconds": seconds}
                return Model(facts | self._sizes(), {}), rows
            done = upto
            validation_loss, validation_accuracy = self._validate()
            rows.append(
                {
                    "seed": seed,
                    "step": done,
                    "epoch": done * self.batch / self._examples,
                    "train_loss": float(losses.mean()),
                    "train_accuracy": float(accuracies.mean()),
                    "validation_loss": validation_loss,
                    "validation_accuracy": validation_accuracy,
                    "train_seconds": seconds,
                }
            )
            report(
                f"seed {seed}: step {done} of {self.steps}, loss {losses.mean():.4f}, "
                f"validation accuracy {validation_accuracy:.4f}, {done * self.batch / seconds:,.0f} images/s"
            )
        facts = {name: rows[-1][name] for name in rows[-1] if name not in ("seed", "step", "epoch")}
        facts |= {"status": "ok", "steps": done, "images_per_second": done * self.batch / seconds}
        return Model(facts | self._sizes(), models.weights(self._model)), rows

    def _sizes(self) -> Row:
        """Return the facts that all seeds share."""
        return {"parameters": self.parameters, "batch_size": self.batch}


def _hits(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return 1.0 for each example whose largest logit is that of its class, else 0.0; float32 (batch,)."""
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1), tf.argmax(targets, axis=-1)), tf.float32)
