"""Train a block of seeds of one variant: data resident in memory, many steps a call, no Python a step.

The batches are cut from one endless stream of indices: all training images shuffled anew for each epoch, one
epoch after the other, as the lecture's ``next_batch`` does. The order depends on seed and epoch alone.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mnist_hpc import models
from mnist_hpc.checkpoint import Checkpoint
from mnist_hpc.errors import Interrupted, UserError
from mnist_hpc.losses import LOSSES, one_hot
from mnist_hpc.storage import Model, Split

HISTORY_POINTS = 20
# A loss this many times the first one never came back in practice; NaN and infinity count as exploded too.
EXPLODED = 1e4
# How long one call of the compiled loop takes, so that a signal is answered soon, and how many steps the first has.
CALL_SECONDS = 1.0
FIRST_CALL = 10

Row = dict[str, Any]


def history_steps(steps: int) -> list[int]:
    """Return the steps after which a run is validated: about 20, evenly spaced, the last step among them."""
    return sorted({math.ceil(steps * point / HISTORY_POINTS) for point in range(1, HISTORY_POINTS + 1)})


def steps_of(specification: Mapping[str, Any], examples: int) -> int:
    """Return how many steps a training takes; an epoch ends with the last whole batch of all its passes."""
    batch = examples if specification["batch_size"] == "full" else specification["batch_size"]
    return specification.get("steps") or specification["epochs"] * examples // batch


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

    def __init__(
        self,
        specification: Mapping[str, Any],
        train: Split,
        validation: Split,
        origin: Mapping[str, Any] | None = None,
        read_at: Iterable[int] = (),
    ) -> None:
        """Build and compile.

        Args:
            specification: of the variant.
            train: training examples.
            validation: validation examples.
            origin: facts that every run of this process shares, as device and versions; "job" is its number in
                the batch system.
            read_at: steps after which to validate beside the usual ones.
        """
        self._origin = dict(origin or {})
        self._job = self._origin.pop("job", "")
        self._layers = specification["layers"]
        self._shape = models.input_shape(train)
        self._examples = len(train.labels)
        self.batch = self._examples if specification["batch_size"] == "full" else specification["batch_size"]
        self.steps = steps_of(specification, self._examples)
        self._validated = sorted({*history_steps(self.steps), *read_at})
        self._l2 = specification.get("l2", 0.0)
        self._scale = specification.get("initial_scale", 1.0)
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
                    objective = loss + self._penalty() if self._l2 else loss
                gradients = tape.gradient(objective, model.trainable_variables)
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

    def _penalty(self) -> tf.Tensor:
        """Return L2 times the sum of the squares of all kernels, as Keras' regulariser of that name."""
        kernels = (variable for variable in self._model.trainable_variables if is_kernel(variable))
        return self._l2 * tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in kernels])

    def _start(self, seed: int) -> None:
        """Give model and optimizer the state in which a run of this seed begins."""
        fresh = models.build(self._layers, self._shape, seed)
        for variable, other in zip(self._model.variables, fresh.variables, strict=True):
            variable.assign(other * self._scale if is_kernel(variable) and self._scale != 1.0 else other)
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

    def train(
        self,
        seed: int,
        report: Callable[[str], None],
        checkpoint: Checkpoint | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> tuple[Model, list[Row]]:
        """Train one seed from where it was, or from its initial weights, to its last step.

        Args:
            seed: decides initial weights, batch order and dropout.
            report: receives a line of progress now and then.
            checkpoint: where to look for an earlier, cut off run of this seed, and to save this one.
            stop: asked about every second; True ends the training.

        Returns:
            The trained model with its facts (``train_seconds`` are those of the compiled steps alone, resumed
            parts added), and the learning curve: training loss and accuracy are means over the steps since the
            row before, as the model saw them (with dropout), those of validation are over all its examples. A
            run whose loss is not finite or exploded has status "failed", the number of that step from 1, and no
            weights.

        Raises:
            Interrupted: ``stop`` said so; what was done is saved if there is a checkpoint.
        """
        run = self._resume(seed, report, checkpoint)
        pending = [step for step in self._validated if step > run.step]
        saved = time.perf_counter()
        while pending and run.failed_step is None:
            losses = self._advance(run, pending[0], seed)
            if run.failed_step is not None:
                report(f"seed {seed}: failed at step {run.failed_step} of {self.steps}: loss {losses[-1]}")
            elif run.step == pending[0]:
                pending.pop(0)
                self._add_row(run, seed)
                report(
                    f"seed {seed}: step {run.step} of {self.steps}, loss {run.rows[-1]['train_loss']:.4f}, "
                    f"validation accuracy {run.rows[-1]['validation_accuracy']:.4f}, "
                    f"{run.step * self.batch / run.seconds:,.0f} images/s"
                )
            stopping = stop()
            if checkpoint and (stopping or time.perf_counter() - saved > checkpoint.seconds):
                checkpoint.save(asdict(run), self._arrays())
                saved = time.perf_counter()
            if stopping:
                fate = "saved; run again to go on" if checkpoint else "lost: there is no --state to save it in"
                raise Interrupted(f"seed {seed}: step {run.step} of {self.steps}, {fate}")
        model = self._finished(run)
        if checkpoint:
            checkpoint.save(asdict(run) | {"facts": model.facts}, model.weights)
        return model, run.rows

    def _resume(self, seed: int, report: Callable[[str], None], checkpoint: Checkpoint | None) -> "_Run":
        """Give model and optimizer the state in which the run of this seed was left, or in which it begins."""
        self._start(seed)
        saved = None
        try:
            saved = checkpoint.load() if checkpoint else None
        except UserError as error:
            report(f"seed {seed}: warning: {error}")
        if saved is None:
            return _Run(self.steps, [self._job])
        record, arrays = saved
        for name, variable in self._variables():
            variable.assign(arrays[name])
        run = _Run(**record)
        run.jobs.append(self._job)
        report(f"seed {seed}: goes on at step {run.step} of {self.steps}")
        return run

    def _variables(self) -> Iterator[tuple[str, keras.Variable]]:
        """Yield everything that changes while training, by a name of its own."""
        for kind, variables in (("model", self._model.variables), ("optimizer", self._optimizer.variables)):
            for index, variable in enumerate(variables):
                yield f"{kind}/{index}", variable

    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: variable.numpy() for name, variable in self._variables()}

    def _advance(self, run: "_Run", upto: int, seed: int) -> np.ndarray:
        """Train for about a second, at most up to a step, and return the loss of each step."""
        if run.step:
            upto = min(upto, run.step + math.ceil(CALL_SECONDS * run.step / run.seconds))
        else:
            upto = min(upto, FIRST_CALL)
        indices = batch_indices(seed, self._examples, self.batch, run.step, upto)
        begin = time.perf_counter()
        losses, accuracies = (values.numpy() for values in self._run(indices))
        run.seconds += time.perf_counter() - begin
        if run.step == 0:
            run.limit = EXPLODED * max(1.0, float(losses[0]))
        (exploded,) = np.nonzero(~(losses <= run.limit))
        if exploded.size:
            losses = losses[: exploded[0] + 1]
            run.failed_step = run.step + len(losses)
        run.losses += losses.tolist()
        run.accuracies += accuracies.tolist()
        run.step = upto
        return losses

    def _add_row(self, run: "_Run", seed: int) -> None:
        """Validate, and end an interval of the learning curve."""
        loss, accuracy = self._validate()
        row = {
            "seed": seed,
            "step": run.step,
            "epoch": run.step * self.batch / self._examples,
            "train_loss": float(np.mean(run.losses)),
            "train_accuracy": float(np.mean(run.accuracies)),
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "train_seconds": run.seconds,
        }
        run.rows.append(row)
        run.losses, run.accuracies = [], []

    def _finished(self, run: "_Run") -> Model:
        """Return the model of a run that has come to its end."""
        facts = {
            **self._origin,
            "parameters": self.parameters,
            "batch_size": self.batch,
            "compile_seconds": self.compile_seconds,
            "windows": len(run.jobs),
            "jobs": " ".join(filter(None, run.jobs)),
            "started": run.started,
            "finished": _now(),
        }
        if run.failed_step is not None:
            facts |= {"status": "failed", "failed_step": run.failed_step, "steps": run.failed_step}
            return Model(facts | {"train_seconds": run.seconds}, {})
        facts |= {"status": "ok", "steps": run.step, "images_per_second": run.step * self.batch / run.seconds}
        facts |= {name: run.rows[-1][name] for name in run.rows[-1] if name not in ("seed", "step", "epoch")}
        return Model(facts, models.weights(self._model))


@dataclass
class _Run:
    """How far a seed has come; with the variables, all that a resumed run needs to end in the same bits.

    Attributes:
        steps: steps to do in all.
        jobs: number in the batch system of each process that worked on the run, empty outside of one.
        step: steps done.
        seconds: spent in them.
        limit: loss above which the run has exploded.
        losses: of the steps since the last row.
        accuracies: of the steps since the last row.
        rows: of the learning curve.
        failed_step: step at which the loss exploded.
        started: when the first of them did, UTC.
    """

    steps: int
    jobs: list[str]
    step: int = 0
    seconds: float = 0.0
    limit: float = math.inf
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    failed_step: int | None = None
    started: str = field(default_factory=lambda: _now())


def is_kernel(variable: keras.Variable) -> bool:
    """Return whether a weight is one of products or convolutions: not a bias, not a scale, not a mean."""
    return variable.trainable and variable.name.endswith("kernel")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _hits(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return 1.0 for each example whose largest logit is that of its class, else 0.0; float32 (batch,)."""
    return tf.cast(tf.equal(tf.argmax(logits, axis=-1), tf.argmax(targets, axis=-1)), tf.float32)
