"""Train the seeds of a variant: advance, validate, save, stop when told to, and end in the same bits all the same."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mnist_hpc import models
from mnist_hpc.checkpoint import Checkpoint
from mnist_hpc.errors import Interrupted
from mnist_hpc.loop import Loop, choose, steps_of
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


class Trainer:
    """One compiled training loop that trains one seed after the other.

    Attributes:
        loop: the model and its compiled functions.
        steps: steps a run.
        compile_seconds: tracing and first call, paid once a block.
    """

    def __init__(
        self,
        specification: Mapping[str, Any],
        train: Split,
        validation: Split,
        threads: int,
        origin: Mapping[str, Any] | None = None,
        read_at: Iterable[int] = (),
    ) -> None:
        """Build and compile.

        Args:
            specification: of the variant.
            train: training examples.
            validation: validation examples.
            threads: CPU threads of the job.
            origin: facts that every run of this process shares, as device and versions; "job" is its number in
                the batch system.
            read_at: steps after which to validate beside the usual ones.
        """
        self._origin = dict(origin or {})
        self._job = self._origin.pop("job", "")
        begin = time.perf_counter()
        self.loop = Loop(specification, train, choose(specification, threads))
        self.steps = steps_of(specification, self.loop.examples)
        self._validated = sorted({*history_steps(self.steps), *read_at})
        self._validation = validation
        self.loop.run(0, 0, 1)
        self.loop.validate(validation)
        self.compile_seconds = time.perf_counter() - begin

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
                    f"{run.step * self.loop.batch / run.seconds:,.0f} images/s"
                )
            stopping = stop()
            if checkpoint and (stopping or time.perf_counter() - saved > checkpoint.seconds):
                checkpoint.save(asdict(run), {name: variable.numpy() for name, variable in self.loop.variables()})
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
        self.loop.start(seed)
        saved = checkpoint.found(lambda line: report(f"seed {seed}: {line}")) if checkpoint else None
        if saved is None:
            return _Run(self.steps, [self._job])
        record, arrays = saved
        for name, variable in self.loop.variables():
            variable.assign(arrays[name])
        run = _Run(**record)
        run.jobs.append(self._job)
        report(f"seed {seed}: goes on at step {run.step} of {self.steps}")
        return run

    def _advance(self, run: "_Run", upto: int, seed: int) -> np.ndarray:
        """Train for about a second, at most up to a step, and return the loss of each step."""
        if run.step:
            upto = min(upto, run.step + math.ceil(CALL_SECONDS * run.step / run.seconds))
        else:
            upto = min(upto, FIRST_CALL)
        upto = min(upto, run.step + self.loop.most_steps)
        begin = time.perf_counter()
        losses, accuracies = self.loop.run(seed, run.step, upto)
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
        with self.loop.averaged():
            loss, accuracy = self.loop.validate(self._validation)
        row = {
            "seed": seed,
            "step": run.step,
            "epoch": run.step * self.loop.batch / self.loop.examples,
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
            "parameters": self.loop.parameters,
            "batch_size": self.loop.batch,
            "dtype_policy": self.loop.engine.dtype_policy,
            "compile_seconds": self.compile_seconds,
            "windows": len(run.jobs),
            "jobs": " ".join(filter(None, run.jobs)),
            "started": run.started,
            "finished": _now(),
        }
        if run.failed_step is not None:
            facts |= {"status": "failed", "failed_step": run.failed_step, "steps": run.failed_step}
            return Model(facts | {"train_seconds": run.seconds}, {})
        facts |= {"status": "ok", "steps": run.step, "images_per_second": run.step * self.loop.batch / run.seconds}
        facts |= {name: run.rows[-1][name] for name in run.rows[-1] if name not in ("seed", "step", "epoch")}
        with self.loop.averaged():
            return Model(facts, models.weights(self.loop.model))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
    started: str = field(default_factory=_now)
