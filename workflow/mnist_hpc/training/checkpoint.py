"""Interrupted and finished trainings, kept until the tables hold them.

One file a seed, ``results/state/<dataset>/<variant>/<identity>/seed-<n>.h5``. The identity is a hash of
specification, data and code, so a checkpoint of anything else is never found. Snakemake knows nothing of these
files: it deletes what it knows whenever a job starts anew.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5
from mnist_hpc.files.atomic import remove_empty
from mnist_hpc.study.layout import Block

Record = dict[str, Any]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Checkpoint:
    """The place where one seed is saved.

    Attributes:
        path: of the file.
        seconds: how often to save, by the clock.
    """

    path: Path
    seconds: float = 60.0

    @property
    def _place(self) -> str:
        """Identity and seed: a file that lies elsewhere is of another training."""
        return "/".join(self.path.parts[-2:])

    def save(self, record: Record, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace what is saved, atomically.

        Args:
            record: values that JSON can hold.
            arrays: numeric arrays by name.
        """
        with hdf5.writing(self.path, {"record": json.dumps(record), "place": self._place}) as file:
            for name, value in arrays.items():
                file.create_dataset(f"arrays/{name}", data=value)

    def load(self) -> tuple[Record, Arrays] | None:
        """Return what was saved, or None where there is nothing.

        Raises:
            UserError: the file is damaged.
        """
        if not self.path.exists():
            return None
        with hdf5.reading(self.path, place=self._place) as file:
            arrays: Arrays = {}
            file.visititems(lambda name, item: arrays.update({name: item[()]}) if hasattr(item, "dtype") else None)
            arrays = {name.removeprefix("arrays/"): value for name, value in arrays.items()}
            return json.loads(file.attrs["record"]), arrays

    def peek(self) -> Record | None:
        """Return the record alone; None where there is none to read. Removes nothing."""
        try:
            with hdf5.reading(self.path, place=self._place) as file:
                return json.loads(file.attrs["record"])
        except UserError:
            return None

    def found(self, report: Callable[[str], None]) -> tuple[Record, Arrays] | None:
        """Return what was saved, or None; report a damaged file, which the next ``save`` replaces."""
        try:
            return self.load()
        except UserError as error:
            report(f"warning: damaged checkpoint ignored, starting over ({error})")
            return None


def folder(results: Path, dataset: str, variant: str) -> Path:
    """Return the folder of a variant's checkpoints."""
    return results / "state" / dataset / variant


def remove_finished(results: Path, blocks: Iterable[Block], finished: Collection[tuple[str, int]]) -> None:
    """Remove the checkpoints of finished seeds, and the records of attempts of blocks that are finished.

    Args:
        results: Folder of all results.
        blocks: Blocks of the study.
        finished: Variant and seed of each finished run. With ``max_seeds`` others may still be running.
    """
    for block in blocks:
        done = [seed for seed in block.seeds if (block.variant, seed) in finished]
        for seed in done:
            for path in folder(results, block.dataset, block.variant).glob(f"*/seed-{seed}.h5"):
                path.unlink()
                remove_empty(path.parent, levels=4)  # identity, variant, data set, state
        if len(done) == len(block.seeds):
            (results / block.record).unlink(missing_ok=True)
            remove_empty((results / block.record).parent, levels=3)  # variant, data set, state
