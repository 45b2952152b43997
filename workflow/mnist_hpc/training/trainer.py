"""Train with one seed: advance, detect divergence, validate, save, and stop when asked, the same for one model or many.

An interrupted and resumed run is bit-identical to one that was not interrupted.
"""

import bisect
import itertools
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mnist_hpc.data.splits import Split
from mnist_hpc.errors import Interrupted
from mnist_hpc.files.provenance import now
from mnist_hpc.training.checkpoint import Arrays, Checkpoint, Record
from mnist_hpc.training.loop import Loop
from mnist_hpc.training.packed_loop import PackedLoop
from mnist_hpc.training.run import Run, diverged, history_steps, of_setting, snapshot_steps

# A loss this many times the first one never came back in practice; NaN and infinity count as diverged too.
DIVERGED = 1e4
# Duration of one call of the compiled loop, so that a signal is answered soon, and the steps of the first call.
CALL_SECONDS = 1.0
FIRST_CALL = 10
# What the names of snapshots begin with in a checkpoint.
SNAPSHOTS = "snapshots/"


class Trainer:
    """Trains a compiled loop, of one model or of K settings of a model, with one seed after the other."""

    def __init__(
        self,
        loop: Loop | PackedLoop,
        validation: Split,
        validated: Iterable[int] | None = None,
        origin: Mapping[str, Any] | None = None,
        snapshots: int | None = None,
        outcome: Callable[[], Arrays] | None = None,
    ) -> None:
        """Compile.

        Runs are validated in float32 after the steps ``validated``. If None, they are validated after those of
        ``history_steps``, in float32 after the last and in the precision of the training before. ``origin`` holds the
        facts that all runs of this process share, such as device, versions, and "job", its number in the batch system.
        With ``snapshots``, runs keep their weights after the steps of ``snapshot_steps``. ``outcome`` returns what is
        kept of a finished training instead of its weights.
        """
        self.loop = loop
        self._outcome = outcome or loop.weights
        self._validation = validation
        # What is reported, or chosen by, is computed as the evaluation does it.
        self._exact = {loop.steps} if validated is None else set(validated)
        self._validated = set(history_steps(loop.steps)) if validated is None else self._exact
        self._reported = self._validated | {*history_steps(loop.steps)}
        self._snapshots = snapshot_steps(loop.steps, snapshots) if snapshots else []
        self._pauses = sorted(self._reported.union(self._snapshots))
        self._origin = dict(origin or {})
        self._job = self._origin.pop("job", "")
        # Losses and accuracies of the steps since the last row, float32 (steps, K).
        self._since_row = self._nothing()
        begin = time.perf_counter()
        for steps in self._compiled_calls():
            loop.run(0, steps)
        loop.validate(validation, exact=self._exact == self._validated)
        self.compile_seconds = time.perf_counter() - begin  # tracing and first calls, paid once

    def _compiled_calls(self) -> list[int]:
        """Return the numbers of steps of one call for which the loop has a program of its own."""
        if self.loop.most_steps is None:
            return [1]
        ends = [0]
        while ends[-1] < self.loop.steps:
            ends.append(self._end_of_call(ends[-1], self.loop.most_steps))
        return sorted({end - begin for begin, end in itertools.pairwise(ends)})

    def _end_of_call(self, step: int, most: int) -> int:
        """Return the step up to which a call from a step on trains, if it does ``most`` steps at most.

        The steps between two pauses are shared out evenly, so that calls have few lengths. A resumed run does the same
        calls as one that was not interrupted.
        """
        place = bisect.bisect_right(self._pauses, step)
        begin, end = self._pauses[place - 1] if place else 0, self._pauses[place]
        calls = -(-(end - begin) // most)
        ends = (begin + (end - begin) * call // calls for call in range(1, calls + 1))
        return next(end for end in ends if end > step)

    def _nothing(self) -> tuple[np.ndarray, np.ndarray]:
        empty = np.empty((0, self.loop.settings), np.float32)
        return empty, empty

    def train(
        self,
        seed: int,
        report: Callable[[str], None],
        checkpoint: Checkpoint | None = None,
        stop: Callable[[], bool] = lambda: False,
        upto: int | None = None,
        origin: tuple[Run, Arrays] | None = None,
    ) -> tuple[Run, dict[str, np.ndarray]]:
        """Train with one seed from where it was interrupted, or from its initial weights, to the last step.

        Return the finished run and the trained weights; no weights and no snapshots if all settings diverged, which
        ends a run early. ``report`` receives lines of progress. ``stop`` is asked about every second; when it returns
        True, the run is saved if there is a checkpoint, and Interrupted is raised.

        With ``upto``, one of the steps that are validated, the run is saved there and returned without weights. With
        ``origin``, see ``of_larger``, it begins there instead of with initial weights.
        """
        clock = time.perf_counter()
        run = self._resumed(seed, report, checkpoint, origin)
        saved = time.perf_counter()
        upto = run.steps if upto is None else upto
        while run.step < upto and len(run.failed) < self.loop.settings:
            self._advance(run, seed, report)
            if run.step in self._reported and len(run.failed) < self.loop.settings:
                self._validate(run, seed, report)
            self._keep(run)
            stopping = stop()
            if checkpoint and (stopping or time.perf_counter() - saved > checkpoint.seconds):
                clock = self._clocked(run, clock)
                self._save(run, checkpoint)
                saved = time.perf_counter()
            if stopping:
                raise Interrupted(
                    f"seed {seed}: step {run.step} of {run.steps}, "
                    + ("saved; run again to continue" if checkpoint else "lost: there is no --state to save it in")
                )
        self._clocked(run, clock)
        self._judge(run, seed, report)
        if run.step < run.steps and len(run.failed) < self.loop.settings:
            if checkpoint:
                self._save(run, checkpoint)
            return run, {}
        run.facts = self._facts(run)
        weights = self._outcome() if run.facts["status"] == "ok" else {}
        if not weights:
            run.snapshots = {}
        if checkpoint:
            _save(run, weights, checkpoint)
        return run, weights

    def _judge(self, run: Run, seed: int, report: Callable[[str], None]) -> None:
        """Note which settings have diverged by their last validation."""
        for setting in range(self.loop.settings):
            if run.result(run.step, setting)["status"] == "failed" and self._fails(run, setting, run.step):
                loss = run.rows[-1]["validation_loss"][setting]
                report(f"seed {seed}: diverged at step {run.step} of {run.steps}: validation loss {loss}")

    def _clocked(self, run: Run, since: float) -> float:
        """Add the time since a moment of ``perf_counter`` to that of the run's processes; return the present one."""
        moment = time.perf_counter()
        run.process_seconds += moment - since
        return moment

    def _resumed(
        self,
        seed: int,
        report: Callable[[str], None],
        checkpoint: Checkpoint | None,
        origin: tuple[Run, Arrays] | None,
    ) -> Run:
        """Set model and optimiser to the state in which the run of this seed was interrupted, or in which it begins."""
        self.loop.start(seed)
        self._since_row = self._nothing()
        saved = checkpoint.found(report) if checkpoint else None
        state = run_of(*saved) if saved else origin
        if state is None:
            run = Run(self.loop.steps, [self._job])
            self._keep(run)
            return run
        run, arrays = state
        for name, variable in self.loop.variables():
            variable.assign(arrays[name])
        self._since_row = (arrays["since_row/losses"], arrays["since_row/accuracies"])
        run.jobs.append(self._job)
        report(f"seed {seed}: continues at step {run.step} of {run.steps}")
        return run

    def of_larger(self, run: Run, arrays: Arrays, settings: Sequence[int]) -> tuple[Run, Arrays]:
        """Return the state of some settings of a larger pack, as ``finished`` returns that, as a state of this loop."""
        shapes = {name: tuple(variable.shape) for name, variable in self.loop.variables()}
        shapes |= {f"since_row/{name}": (0, self.loop.settings) for name in ("losses", "accuracies")}
        count = len(run.limits)
        return run.only(settings), {name: _only(arrays[name], shape, count, settings) for name, shape in shapes.items()}

    def _save(self, run: Run, checkpoint: Checkpoint) -> None:
        arrays = {name: variable.numpy() for name, variable in self.loop.variables()}
        losses, accuracies = self._since_row
        _save(run, arrays | {"since_row/losses": losses, "since_row/accuracies": accuracies}, checkpoint)

    def _keep(self, run: Run) -> None:
        """Add the weights to the snapshots of a run after a step that is to have one."""
        if run.step not in self._snapshots:
            return
        for name, value in {"steps": np.array(run.step), **self.loop.weights()}.items():
            before = run.snapshots.get(name, np.empty((0, *value.shape), value.dtype))
            run.snapshots[name] = np.concatenate([before, value[np.newaxis]])

    def _advance(self, run: Run, seed: int, report: Callable[[str], None]) -> None:
        """Train for about a second, at most up to the next pause, and note which settings diverged."""
        if self.loop.most_steps:
            upto = self._end_of_call(run.step, self.loop.most_steps)
        else:
            soon = math.ceil(CALL_SECONDS * run.step / run.seconds) if run.step else FIRST_CALL
            upto = min(run.step + soon, self._pauses[bisect.bisect_right(self._pauses, run.step)])
        begin = time.perf_counter()
        losses, accuracies = self.loop.run(run.step, upto)
        run.seconds += time.perf_counter() - begin
        if run.step == 0:
            run.limits = (DIVERGED * np.maximum(1.0, losses[0].astype(np.float64))).tolist()
        over = diverged(losses, run.limits)
        for setting in np.flatnonzero(over.any(axis=0)).tolist():
            step = int(over[:, setting].argmax())
            if self._fails(run, setting, run.step + step + 1):
                report(
                    f"seed {seed}: diverged at step {run.step + step + 1} of {run.steps}: loss {losses[step, setting]}"
                )
        before = self._since_row
        self._since_row = (np.concatenate([before[0], losses]), np.concatenate([before[1], accuracies]))
        run.step = upto

    @staticmethod
    def _fails(run: Run, setting: int, step: int) -> bool:
        """Note that a setting diverged in a step, counted from 1; return False if it had before."""
        new = str(setting) not in run.failed
        run.failed.setdefault(str(setting), step)
        return new

    def _validate(self, run: Run, seed: int, report: Callable[[str], None]) -> None:
        """Report where the run is and, after a step that is to be validated, end an interval of the learning curve."""
        speed = run.step * self.loop.batch / run.seconds
        if run.step not in self._validated:
            report(f"seed {seed}: step {run.step} of {run.steps}, {speed:,.0f} images/s")
            return
        for setting in np.flatnonzero(~self.loop.finite()).tolist():
            if self._fails(run, setting, run.step):
                report(f"seed {seed}: diverged at step {run.step} of {run.steps}: a weight is not finite")
        loss, accuracy = self.loop.validate(self._validation, exact=run.step in self._exact)
        train_loss, train_accuracy = (
            np.ascontiguousarray(values.T, np.float64).mean(axis=1).tolist() for values in self._since_row
        )
        run.rows.append(
            {
                "step": run.step,
                "epoch": run.step * self.loop.batch / self.loop.examples,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "validation_loss": loss.tolist(),
                "validation_accuracy": accuracy.tolist(),
                "train_seconds": run.seconds,
            }
        )
        self._since_row = self._nothing()
        best = int(np.argmin(np.nan_to_num(loss, nan=np.inf)))
        report(
            f"seed {seed}: step {run.step} of {run.steps}, loss {train_loss[best]:.4f}, "
            f"validation accuracy {accuracy[best]:.4f}, {speed:,.0f} images/s"
        )
        if self.loop.settings > 1:
            report(f"seed {seed}: the best of {self.loop.settings} settings, {len(run.failed)} diverged")

    def _facts(self, run: Run) -> dict[str, Any]:
        """Return what is recorded of a finished run."""
        facts = {
            **self._origin,
            **self.loop.facts,
            "compile_seconds": self.compile_seconds,
            "windows": len(run.jobs),
            "jobs": " ".join(filter(None, run.jobs)),
            "started": run.started,
            "finished": now(),
            "train_seconds": run.seconds,
            "process_seconds": run.process_seconds,
        }
        if len(run.failed) == self.loop.settings:
            step = max(run.failed.values())
            return facts | {"status": "failed", "failed_step": step, "steps": step}
        speed = run.step * self.loop.batch / run.seconds
        last = {key: value for key, value in of_setting(run.rows[-1], 0).items() if key not in ("step", "epoch")}
        return facts | last | {"status": "ok", "steps": run.step, "images_per_second": speed}


def finished(
    checkpoint: Checkpoint, report: Callable[[str], None], upto: int | None = None
) -> tuple[Run, dict[str, np.ndarray]] | None:
    """Return run and arrays of a training that an earlier process finished, or brought to step ``upto``; or None."""
    saved = checkpoint.found(report)
    if saved is None or not (saved[0]["facts"] or (upto and saved[0]["step"] >= upto)):
        return None
    return run_of(*saved)


def _only(value: np.ndarray, shape: tuple[int, ...], count: int, settings: Sequence[int]) -> np.ndarray:
    """Return the part of an array of ``count`` settings that belongs to some, in the given shape.

    The settings lie along the axis in which the shapes differ, each with as many places there as the others.
    """
    axis = next((axis for axis, sizes in enumerate(zip(value.shape, shape, strict=True)) if len(set(sizes)) > 1), None)
    if axis is None:
        return value
    apart = value.reshape(*value.shape[:axis], count, value.shape[axis] // count, *value.shape[axis + 1 :])
    return apart.take(settings, axis=axis).reshape(shape)


def _save(run: Run, arrays: Arrays, checkpoint: Checkpoint) -> None:
    """Save a run, with its snapshots among the arrays."""
    record = asdict(run)
    snapshots = {SNAPSHOTS + name: values for name, values in record.pop("snapshots").items()}
    checkpoint.save(record, arrays | snapshots)


def run_of(record: Record, arrays: Arrays) -> tuple[Run, Arrays]:
    """Return the run that ``_save`` saved, and the other arrays."""
    snapshots = {name.removeprefix(SNAPSHOTS): arrays[name] for name in arrays if name.startswith(SNAPSHOTS)}
    others = {name: values for name, values in arrays.items() if not name.startswith(SNAPSHOTS)}
    return Run(**record, snapshots=snapshots), others
