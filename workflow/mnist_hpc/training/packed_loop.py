"""Train many settings of one dense model at once: all see the same batches, and are one wide product.

The K settings may differ in learning rate, momentum, L2 and scale of the initial weights. The first Dense layer of
all of them is one matrix [inputs, K × units], so a step costs two large products instead of 2 K small ones; the
layers behind it are batched products [K, inputs, units]. Each setting ends where it would alone, to rounding.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_hpc.data.splits import Split
from mnist_hpc.study.grids import batch_of, steps_of
from mnist_hpc.training import layers, models
from mnist_hpc.training.batches import batch_indices
from mnist_hpc.training.loop import IMAGES_PER_CALL, each, hits, summed
from mnist_hpc.training.losses import LOSSES, one_hot, smoothed
from mnist_hpc.training.optimizers import optimizer
from mnist_hpc.training.program import Program


class PackedLoop:
    """The compiled training of K settings, with the interface of ``loop.Loop``."""

    def __init__(self, specifications: Sequence[Mapping[str, Any]], train: Split, *, xla: bool = False) -> None:
        """Build the training of K settings that differ in ``packing.free_keys`` alone, with ``xla`` as one program."""
        first = specifications[0]
        self._layers, self._shape = first["layers"], models.input_shape(train)
        self.settings = len(specifications)
        self.examples = len(train.labels)
        self.batch = batch_of(first, self.examples)
        self.facts = {"batch_size": self.batch, "dtype_policy": "float32"}  # recorded of every run
        self.steps = max(steps_of(specification, self.examples) for specification in specifications)
        self.most_steps = max(1, IMAGES_PER_CALL // self.batch) if xla else None
        # Variables, as a GPU can gather bytes from variables only.
        self._inputs, self._labels = (tf.Variable(values, trainable=False) for values in (train.inputs, train.labels))
        ((loss, arguments),) = first["loss"].items()
        self._loss, self._training_loss = LOSSES[loss], smoothed(loss, arguments)
        optimizers = [optimizer(specification, steps=1) for specification in specifications]
        self._optimizer = optimizers[0]
        rates = [float(optimizer.learning_rate.numpy()) for optimizer in optimizers]
        momenta = [getattr(optimizer, "momentum", 0.0) for optimizer in optimizers]
        self._model = models.build(self._layers, self._shape, 0, kinds=layers.FOR_TRAINING)
        self._seeds = [0, *layers.own_seeds(self._model.layers)]  # of the run and of its layers, see ``start``
        dense = next(layer for layer in self._model.layers if isinstance(layer, keras.layers.Dense))
        self._first_weights = len(dense.trainable_weights)  # kernel, and perhaps bias
        self._scales = [specification.get("initial_scale", 1.0) for specification in specifications]
        self._weights = [
            keras.Variable(self._stacked(variable.numpy(), first=index < self._first_weights))
            for index, variable in enumerate(self._model.trainable_variables)
        ]
        decays = [specification.get("l2", 0.0) for specification in specifications]
        self._rates, self._momenta, self._decays = (
            [self._per_weight(np.array(values, np.float32), index) for index in range(len(self._weights))]
            for values in (rates, momenta, decays)
        )
        self._decaying = any(decays)
        self._sgd = isinstance(self._optimizer, keras.optimizers.SGD)
        self._velocities = [keras.Variable(tf.zeros_like(weight)) for weight in self._weights] if self._sgd else []
        if not self._sgd:  # of which only the count of steps is used
            self._optimizer.build(self._weights)
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]
        self.program = Program(self._step, self.batch, [(self.settings,)], xla=xla)
        self._validate = tf.function(self._validate_batch, autograph=False, reduce_retracing=True)
        self._each = tf.function(self._losses_batch, autograph=False, reduce_retracing=True)

    def _stacked(self, value: np.ndarray, *, first: bool) -> np.ndarray:
        """Return a weight for all settings: [inputs, K × units] of the first layer, else [K, ...]."""
        if value.ndim == 2:
            scaled = [value * np.float32(scale) for scale in self._scales]
            return np.concatenate(scaled, axis=1) if first else np.stack(scaled)
        return np.stack([value] * self.settings)

    def _side_by_side(self, index: int) -> bool:
        """Return whether the settings share the matrix of a weight, that of the first layer, as [inputs, K × units]."""
        return index < self._first_weights and len(self._model.trainable_variables[index].shape) == 2

    def _per_weight(self, values: np.ndarray, index: int) -> tf.Tensor:
        """Return a number for each setting in a shape that goes with a weight."""
        variable = self._model.trainable_variables[index]
        if self._side_by_side(index):
            return tf.constant(np.repeat(values, variable.shape[1])[np.newaxis])
        return tf.constant(values.reshape(-1, *[1] * len(variable.shape)))

    def _logits(self, values: tf.Tensor, *, learning: bool) -> tf.Tensor:
        """Return float32 (K, batch, classes) for examples (batch, ...)."""
        weights = iter(self._weights)
        hidden, packed = values, False
        for layer in self._model.layers:
            if isinstance(layer, keras.layers.Dense):
                product = tf.matmul(hidden, next(weights))
                if not packed:
                    product = tf.reshape(product, [-1, self.settings, layer.units])
                    product = tf.transpose(product, [1, 0, 2])
                packed = True
                hidden = layer.activation(product + next(weights)[:, tf.newaxis] if layer.use_bias else product)
            elif packed and isinstance(layer, keras.layers.Dropout):
                hidden *= layer(tf.ones_like(hidden[0]), training=learning)  # all settings lose the same units
            elif packed and isinstance(layer, keras.layers.GaussianNoise):
                hidden += layer(tf.zeros_like(hidden[0]), training=learning)
            else:
                hidden = layer(hidden, training=learning)
        return hidden

    @staticmethod
    def _targets(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Return one-hot labels for all settings, float32 (K, batch, classes)."""
        return tf.broadcast_to(one_hot(labels, logits.shape[-1]), tf.shape(logits))

    def _step(self, examples: tf.Tensor, seeds: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor]:
        """Train one step; return the losses (K,)."""
        values = models.inputs(tf.gather(self._inputs, examples))
        labels = tf.gather(self._labels, examples)
        layers.set_seeds(self._model.layers, seeds[1:], number)
        with tf.GradientTape() as tape:
            logits = self._logits(values, learning=True)
            targets = self._targets(labels, logits)
            loss = tf.reduce_mean(self._training_loss(targets, logits), axis=1)
            total = tf.reduce_sum(loss)
        self._apply(tape.gradient(total, [weight.value for weight in self._weights]))
        if self._training_loss is not self._loss:
            loss = tf.reduce_mean(self._loss(targets, logits), axis=1)
        return (loss,)

    def _validate_batch(self, values: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits = self._logits(models.inputs(values), learning=False)
        losses = self._loss(self._targets(labels, logits), logits)
        return tf.reduce_sum(losses, axis=1), tf.reduce_sum(hits(labels, logits), axis=1)

    def _losses_batch(self, values: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        logits = self._logits(models.inputs(values), learning=False)
        return self._loss(self._targets(labels, logits), logits)

    def _apply(self, gradients: list[tf.Tensor]) -> None:
        """Change the weights as the optimiser would change those of each setting alone."""
        for index, (weight, gradient) in enumerate(zip(self._weights, gradients, strict=True)):
            kernel = len(self._model.trainable_variables[index].shape) == 2
            slope = gradient + 2 * self._decays[index] * weight if self._decaying and kernel else gradient
            if not self._sgd:
                self._optimizer.update_step(slope, weight, self._rates[index])
                continue
            # Keras' SGD knows one momentum; this is its formula.
            change = -self._rates[index] * slope
            if any(np.ravel(self._momenta[index])):
                velocity, momentum = self._velocities[index], self._momenta[index]
                velocity.assign(velocity * momentum + change)
                change = velocity * momentum + change if self._optimizer.nesterov else velocity
            weight.assign(weight + change)
        self._optimizer.iterations.assign_add(1)

    def start(self, seed: int) -> None:
        """Set all settings and the optimiser to the state in which a run of this seed begins."""
        fresh = models.build(self._layers, self._shape, seed)
        self._seeds = [seed, *layers.own_seeds(fresh.layers)]
        for index, (weight, variable) in enumerate(zip(self._weights, fresh.trainable_variables, strict=True)):
            weight.assign(self._stacked(variable.numpy(), first=index < self._first_weights))
        for variable, other in zip(self._model.non_trainable_variables, fresh.non_trainable_variables, strict=True):
            variable.assign(other)
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        for velocity in self._velocities:
            velocity.assign(tf.zeros_like(velocity))

    def run(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Train the steps ``first`` to ``last`` - 1; return losses, float32 (steps, K), and NaN for accuracies.

        The losses are without label smoothing and L2, of which only the gradient knows.
        """
        (losses,) = self.program(
            batch_indices(self._seeds[0], self.examples, self.batch, first, last), self._seeds, first
        )
        return losses, np.full_like(losses, np.nan)

    def validate(self, split: Split, *, exact: bool = True) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        """Return loss and accuracy of each setting over all examples of a split, float64 (K,); always in float32."""
        return summed(self._validate, split, self.settings)

    def losses(self, split: Split) -> np.ndarray:
        """Return the loss of each example of a split, float32 (K, N)."""
        return each(self._each, split)

    def finite(self) -> np.ndarray:
        """Return whether all weights of each setting are finite, bool (K,)."""
        found = np.ones(self.settings, bool)
        for index, weight in enumerate(self._weights):
            values = np.isfinite(weight.numpy())
            if self._side_by_side(index):  # [inputs, K × units]
                values = values.reshape(len(values), self.settings, -1).transpose(1, 0, 2)
            found &= values.reshape(self.settings, -1).all(axis=1)
        return found

    def variables(self) -> Iterator[tuple[str, keras.Variable]]:
        """Yield everything that changes while training, by a name of its own."""
        kinds = (self._weights, self._optimizer.variables, self._velocities, self._model.non_trainable_variables)
        for kind, variables in enumerate(kinds):
            for index, variable in enumerate(variables):
                yield f"{kind}/{index}", variable

    def weights(self) -> dict[str, np.ndarray]:
        """Return nothing: a sweep keeps no models."""
        return {}
