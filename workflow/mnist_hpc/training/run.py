"""The state of a training with one seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mnist_hpc.files.provenance import now

HISTORY_POINTS = 20
# The first step whose snapshot shows something: nets on points of the plane have turned towards their classes by then,
# and have not separated them yet.
FIRST_SNAPSHOT = 10

Row = dict[str, Any]


@dataclass
class Run:
    """How far the training with one seed has come; together with the variables, all that a resumed run needs.

    The rows are the learning curve: step, epoch, train_seconds, and lists over the settings of train_loss,
    train_accuracy (means over the steps since the row before, as the model saw them, with dropout, but without label
    smoothing and L2), validation_loss and validation_accuracy (over all validation examples).

    The snapshots are the weights after S steps so far: ``steps`` int64 (S,), and each weight by its name, float32
    (S, ...). They are empty if the variant asks for none, and once the run has failed.
    """

    steps: int  # to do in all
    jobs: list[str] = field(default_factory=list)  # of the batch system that worked on the run
    step: int = 0  # steps done
    seconds: float = 0.0  # spent in them
    process_seconds: float = (
        0.0  # that processes worked on the run, validation and saving included, until its last save
    )
    limits: list[float] = field(default_factory=list)  # loss of each setting above which it has diverged
    failed: dict[str, int] = field(default_factory=dict)  # by setting, as text, the step in which it diverged, from 1
    rows: list[Row] = field(default_factory=list)
    snapshots: dict[str, np.ndarray] = field(default_factory=dict)
    started: str = field(default_factory=now)  # when the first process began, UTC
    facts: dict[str, Any] = field(default_factory=dict)  # what is recorded of a finished run; empty before

    def result(self, step: int, setting: int = 0) -> Row:
        """Return what one setting had reached after a step: ``status``, and the values of that row if it is "ok"."""
        row = next((row for row in self.rows if row["step"] == step), None)
        failed = self.failed.get(str(setting), math.inf) <= step
        if row is None or failed or diverged(row["validation_loss"][setting], self.limits[setting]):
            return {"status": "failed", "steps": step}
        return {"status": "ok", "steps": step, **of_setting(row, setting)}

    def done(self, step: int) -> int:
        """Return how many steps up to one were done; a run ends where its last setting diverges."""
        return min(step, max(self.failed.values()) if len(self.failed) == len(self.limits) else self.step)

    def seconds_at(self, step: int) -> float:
        """Return the time spent in the steps up to one that was validated, or if the run ended before, in all."""
        return next((row["train_seconds"] for row in self.rows if row["step"] == step), self.seconds) if step else 0.0

    def only(self, settings: Sequence[int]) -> "Run":
        """Return the run of some of the settings, in the same order, from where all of them are."""
        failed = {str(new): self.failed[str(old)] for new, old in enumerate(settings) if str(old) in self.failed}
        rows = [
            {
                name: [value[old] for old in settings] if isinstance(value, list) else value
                for name, value in row.items()
            }
            for row in self.rows
        ]
        return replace(self, limits=[self.limits[old] for old in settings], failed=failed, rows=rows)

    def history(self, setting: int = 0) -> list[Row]:
        """Return the learning curve of one setting, a row per validation before it diverged."""
        failed = self.failed.get(str(setting), math.inf)
        return [of_setting(row, setting) for row in self.rows if row["step"] < failed]


def diverged(loss: Any, limit: Any) -> Any:
    """Return whether losses, numbers or arrays, are above a limit or not finite."""
    return ~(np.isfinite(loss) & np.less_equal(loss, limit))


def of_setting(row: Row, setting: int) -> Row:
    """Return a row with the values of one setting instead of lists over all."""
    return {key: value[setting] if isinstance(value, list) else value for key, value in row.items()}


def history_steps(steps: int) -> list[int]:
    """Return the steps after which a run is validated: about 20, evenly spaced, the last step among them."""
    return sorted({math.ceil(steps * point / HISTORY_POINTS) for point in range(1, HISTORY_POINTS + 1)})


def snapshot_steps(steps: int, count: int) -> list[int]:
    """Return the steps after which a run stores its weights: 0, and up to ``count`` more, the last step among them.

    The distances grow geometrically, as a net changes much in its first steps and little in its last ones. The first is
    step 10, or an earlier one where ``count`` steps at equal distances would begin earlier.
    """
    first = min(FIRST_SNAPSHOT, math.ceil(steps / count))
    # Backwards, so that a single one is the last step.
    return sorted({0, *np.geomspace(steps, first, count).round().astype(int).tolist()})
