"""Searches of hyper-parameters: how many images each method trains, and which validation loss its choice reaches.

    python search.py <part> <method> <repetition> <folder of train.h5> <peers' Python> <threads> <1 to rehearse, else 0>

``make bench ONLY=search`` runs all parts. A search is a process of its own, as above, which prints a row as JSON. Each
repetition has its own points and its own seeds. The choice is then trained from judging seeds, which are the same for
all methods and repetitions and help to choose nothing. The test images are not read.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from pieces import Row, attempt

from mnist_hpc.data.splits import read_training
from mnist_hpc.files import provenance
from mnist_hpc.study import config, halving, spaces
from mnist_hpc.study.grids import FIRST_SEED, FRESH_SEED, Point, images_seen
from mnist_hpc.study.specification import Study
from mnist_hpc.training import device

ROOT = Path(__file__).parents[2]
CONTENDERS = Path(__file__).parent / "contenders"
# Above all seeds of sweeps.
JUDGING = range(5_000_000, 5_000_005)
# Between the first seeds of two repetitions.
APART = 1000


@dataclass(frozen=True)
class Problem:
    """What is searched, in the words of config.yaml.

    Attributes:
        variant: whose hyper-parameters are searched.
        grid: keys of a sweep over all points of a grid.
        space: keys of a sweep that halves points of a space, or the name of such a sweep of config.yaml.
        repetitions: how often each method searches, each time with other points and seeds.
        peers: whether Optuna searches too.
    """

    variant: str
    grid: Mapping[str, Any]
    space: Mapping[str, Any] | str
    repetitions: int
    peers: bool = True


PARTS = {
    "search-regression": Problem(
        variant="regression",
        grid={
            "grid": {
                "learning_rate": [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0],
                "batch_size": [5, 10, 25, 50, 100, 200, 400],
                "steps": [250, 500, 1000, 2000, 4000, 10000, 20000],
            },
            "max_images": 100_000,
        },
        space="regression-same-budget",
        repetitions=10,
    ),
    "search-regression-long": Problem(
        variant="regression",
        grid={
            "grid": {
                "learning_rate": [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0],
                "batch_size": [50, 100, 200, 500],
                "steps": [1000, 2000, 4000, 8000, 16000],
            },
            "max_images": 2_200_000,
        },
        space="regression-free-budget",
        repetitions=3,
        peers=False,
    ),
    "search-hidden": Problem(
        variant="hidden-relu",
        grid={
            "grid": {
                "optimizer": ["SGD", {"SGD": {"momentum": 0.9}}, "RMSprop", "Adagrad", "Adam"],
                "learning_rate": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
            },
            "seeds": 3,
        },
        space="hidden-optimizers",
        repetitions=10,
    ),
    "search-cnn": Problem(
        variant="cnn-fast",
        grid={
            "grid": {"learning_rate": [0.001, 0.003, 0.01, 0.03, 0.1], "batch_size": [64, 128, 256]},
            "seeds": 3,
        },
        space={
            "space": {"learning_rate": {"log_uniform": [0.001, 0.1]}, "batch_size": [64, 128, 256]},
            "points": 27,
            "seeds": 1,
            "halving": {},
        },
        repetitions=3,
        peers=False,
    ),
}
# Of a rehearsal: with the built-in digits.
FEW = {"max_images": 5000, "images": 2000, "points": 4, "seeds": 1}
FEW_RULES = {"first": "1/3", "finalists": 1, "fresh_seeds": 2}
# Which pruner of contenders/optuna_search.py each of the peers has.
PEERS = {"Optuna, successive halving": "successive halving", "Optuna, Hyperband": "Hyperband"}
OWN = ("grid", "random", "halving")


def sweep_of(part: str, kind: str, *, rehearsal: bool = False) -> dict[str, Any]:
    """Return a sweep of a part, ``grid`` or ``space``, as ``Sweep.json`` says it."""
    content = config.read(ROOT / "config.yaml", {"dataset": "digits", "max_epochs": 1} if rehearsal else None)
    given = getattr(PARTS[part], kind)
    keys = {**(content["sweeps"][given] if isinstance(given, str) else given), "variant": PARTS[part].variant}
    if rehearsal:
        keys |= {key: value for key, value in FEW.items() if key in keys}
        keys |= {"halving": FEW_RULES} if kind == "space" else {}
    return json.loads(Study(content | {"sweeps": {"search": keys}}).sweeps["search"].json)


def trainings_of(rules: Mapping[str, Any], points: int) -> int:
    """Return how many whole trainings cost as many images as the rungs of ``points`` that are halved."""
    shares = halving.shares(rules)
    rungs = zip(halving.sizes(rules, points), shares, [Fraction(0), *shares], strict=False)
    return round(sum(size * (share - before) for size, share, before in rungs))


@dataclass
class Search:
    """One search of one repetition; TensorFlow must run.

    Attributes:
        trainings: ``mnist_hpc.training.sweep.Trainings`` on the data.
        shape: of an example, with channels.
        rows: of all trainings so far, as ``points.csv`` has them.
        points: that were tried, by place.
    """

    trainings: Any
    shape: tuple[int, ...]
    repetition: int
    rows: list[Row] = field(default_factory=list)
    points: dict[int, Point] = field(default_factory=dict)

    @property
    def shift(self) -> int:
        """How much higher the seeds are than those of the first repetition."""
        return APART * self.repetition

    def grid(self, sweep: Mapping[str, Any]) -> None:
        """Train all points of a grid."""
        self._try(spaces.tried(sweep))
        self.rows += self._trained([*self.points.values()], FIRST_SEED, sweep["seeds"], sweep)

    def halving(self, sweep: Mapping[str, Any]) -> None:
        """Halve the points of a space."""
        from mnist_hpc.training import rungs

        self._try(spaces.tried(sweep, spaces.SEED + self.repetition))
        self.rows += rungs.halve([*self.points.values()], sweep, self.trainings, self.shift)[0]

    def random(self, sweep: Mapping[str, Any]) -> None:
        """Train fewer points of a space, all to their end, with as many images as halving, and confirm the best."""
        rules = sweep["halving"]
        count = trainings_of(rules, sweep["points"])
        self.halving({**sweep, "points": count, "halving": {**rules, "first": "1"}})

    def peer(self, sweep: Mapping[str, Any], python: Path, pruner: str) -> None:
        """Train what Optuna asks for, with as many images as halving, and confirm the best as halving does."""
        rules = sweep["halving"]
        asked = {"space": dict(sweep["space"]), "rungs": len(halving.shares(rules)), "factor": rules["factor"]}
        asked |= {"pruner": pruner, "seed": self.repetition}
        limit = trainings_of(rules, sweep["points"]) * self._images(sweep)
        command = [str(python), str(CONTENDERS / "optuna_search.py"), json.dumps(asked)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin and process.stdout  # noqa: PT018
            for line in process.stdout:
                if sum(row["images"] for row in self.rows) >= limit:
                    process.stdin.close()
                    break
                loss = self._asked(sweep, **json.loads(line))
                process.stdin.write(json.dumps(loss) + "\n")
                process.stdin.flush()
        if process.returncode:
            raise RuntimeError(f"{python}: Optuna ended with exit code {process.returncode}")
        last = [row for row in self.rows if row["rung"] == asked["rungs"]]
        best = [self.points[place] for place in halving.best(last, rules["finalists"])]
        finalists = self._trained(best, FRESH_SEED, rules["fresh_seeds"], sweep)
        self.rows += [row | {"rung": asked["rungs"] + 1} for row in finalists]

    def _images(self, sweep: Mapping[str, Any]) -> int:
        """Return the images of a whole training."""
        return images_seen(spaces.tried(sweep)[0].specification, len(self.trainings.train.labels))

    def _asked(self, sweep: Mapping[str, Any], point: int, values: Mapping[str, Any], rung: int) -> float | None:
        """Train a point up to the end of a rung; return its validation loss, None if it diverged."""
        from mnist_hpc.training.packing import Pack
        from mnist_hpc.training.sweep import pack_rows

        if rung == 1:
            self._try([spaces.point_of(sweep, point, values)])
            self._pack = Pack(((self.points[point],),), FIRST_SEED + self.shift)  # is compiled once
        ends = halving.ends(sweep["halving"], self.trainings.steps(self.points[point]))
        run, _ = self.trainings.run(self._pack, f"point {point}", ends, ends[rung - 1])
        (row,) = pack_rows(self._pack, run, self.trainings, upto=ends[rung - 1])
        before = sum(earlier["images"] for earlier in self.rows if earlier["point"] == point)
        self.rows.append(row | {"rung": rung, "images": row["images"] - before})
        return row["validation_loss"] if row["status"] == "ok" else None

    def _trained(self, points: Sequence[Point], first: int, seeds: int, sweep: Mapping[str, Any]) -> list[Row]:
        """Train points to their end from seeds that begin with ``first`` in the first repetition."""
        from mnist_hpc.training.packing import packs
        from mnist_hpc.training.sweep import train_packs

        chosen = range(first + self.shift, first + self.shift + seeds)
        return train_packs(packs(points, chosen, self.shape, sweep["pack_mb"] * 10**6), self.trainings)

    def _try(self, points: Sequence[Point]) -> None:
        self.points |= {point.place: point for point in points}

    def judged(self) -> Row:
        """Return what the search cost and chose, and what its choice reaches from the judging seeds."""
        from mnist_hpc.training.packing import packs
        from mnist_hpc.training.sweep import train_packs

        chosen = self.points[halving.rank(self.rows)[0]["point"]]
        rows = train_packs(packs([chosen], JUDGING, self.shape, 1), self.trainings)
        ((judged),) = halving.rank(rows)
        return {
            "points": len(self.points),
            "images": sum(row["images"] for row in self.rows),
            "chosen": json.dumps(chosen.values),
            "validation_loss": judged["validation_loss_mean"],
            "validation_loss_sd": judged["validation_loss_sd"],
            "validation_accuracy": judged["validation_accuracy_mean"],
            "validation_accuracy_sd": judged["validation_accuracy_sd"],
            "judging_seeds": judged["n"],
            "diverged": judged["failed"],
        }


def searched(part: str, method: str, repetition: int, data: Path, peers: Path, threads: int, *, rehearsal: bool) -> Row:
    """Search once, in this process."""
    sweep = sweep_of(part, "grid" if method == "grid" else "space", rehearsal=rehearsal)
    _, train, validation = read_training(data / "train.h5")
    hardware = device.prepare(threads)
    from mnist_hpc.training.models import adapted, input_shape
    from mnist_hpc.training.sweep import Trainings

    sweep["specification"]["layers"] = adapted(sweep["specification"]["layers"], train)
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(train, validation, Path(folder), lambda _: None, lambda: False, threads, math.inf)
        search = Search(trainings, input_shape(train), repetition)
        begin, before = time.perf_counter(), processor_seconds()
        if method in PEERS:
            search.peer(sweep, peers, PEERS[method])
        else:
            getattr(search, method)(sweep)
        cost = {"seconds": time.perf_counter() - begin, "processor_seconds": processor_seconds() - before}
        return search.judged() | cost | {"device": hardware, "commit": provenance.commit()}


def processor_seconds() -> float:
    """Return the processor time that this process, and those that it started and waited for, took so far."""
    return sum(os.times()[:4])


def process(*arguments: object) -> Row:
    """Search once, in a process of its own; raise RuntimeError if it fails."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ended with exit code {done.returncode}: {done.stderr[-1000:]}")  # no text if killed
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(
    part: str,
    done: Collection[Row],
    data: Path,
    peers: Path,
    threads: int,
    *,
    rehearsal: bool,
    repetitions: int | None = None,
) -> Iterator[Row]:
    """Yield a row a search, but for those that are ``done``: all methods in turn, then the next repetition."""
    problem = PARTS[part]
    known = {(row["method"], int(row["repetition"])) for row in done}
    most = min(repetitions or problem.repetitions, problem.repetitions)
    for repetition in range(1 if rehearsal else most):
        for method in (*OWN, *(PEERS if problem.peers else ())):
            if (method, repetition) not in known:
                keys = {"problem": part, "method": method, "repetition": repetition}
                arguments = (part, method, repetition, data, peers, threads, int(rehearsal))
                yield attempt(keys, process, *arguments)


if __name__ == "__main__":
    given = sys.argv[1:]
    row = searched(
        *(given[0], given[1], int(given[2]), Path(given[3]), Path(given[4]), int(given[5])), rehearsal=given[6] == "1"
    )
    print(json.dumps(row))
