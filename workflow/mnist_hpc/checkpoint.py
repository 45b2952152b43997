"""Interrupted and finished trainings, kept until the tables hold them.

One file a seed, ``results/state/<dataset>/<variant>/<identity>/seed-<n>.h5``. The identity is a hash of
specification, data and code, so a checkpoint of anything else is never found. Snakemake knows nothing of these
files: it deletes what it knows whenever a job starts anew.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc import storage
from mnist_hpc.errors import UserError

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
        with storage.writing(self.path, {"record": json.dumps(record), "place": self._place}) as file:
            for name, value in arrays.items():
                file.create_dataset(f"arrays/{name}", data=value)

    def load(self) -> tuple[Record, Arrays] | None:
        """Return what was saved, or None where there is nothing.

        Raises:
            UserError: the file is damaged; it has been removed.
        """
        if not self.path.exists():
            return None
        try:
            with storage.reading(self.path, place=self._place) as file:
                arrays: Arrays = {}
                file.visititems(lambda name, item: arrays.update({name: item[()]}) if hasattr(item, "dtype") else None)
                arrays = {name.removeprefix("arrays/"): value for name, value in arrays.items()}
                return json.loads(file.attrs["record"]), arrays
        except UserError as error:
            self.path.unlink()
            raise UserError(
                f"damaged checkpoint removed ({str(error).partition('; delete')[0]}); beginning anew"
            ) from None

    def peek(self) -> Record | None:
        """Return the record alone; None where there is none to read. Removes nothing."""
        try:
            with storage.reading(self.path, place=self._place) as file:
                return json.loads(file.attrs["record"])
        except UserError:
            return None

    def found(self, report: Callable[[str], None]) -> tuple[Record, Arrays] | None:
        """Return what was saved, or None; report a damaged file."""
        try:
            return self.load()
        except UserError as error:
            report(f"warning: {error}")
            return None

    def finished(self, report: Callable[[str], None]) -> tuple[storage.Model, list[Record]] | None:
        """Return model and learning curve of a training that came to its end, or None; report a damaged file."""
        saved = self.found(report)
        if saved is None or "facts" not in saved[0]:
            return None
        record, weights = saved
        return storage.Model(record["facts"], weights), record["rows"]


def folder(results: Path, dataset: str, variant: str) -> Path:
    """Return the folder of a variant's checkpoints."""
    return results / "state" / dataset / variant


def remove(results: Path, dataset: str, variant: str, seed: int) -> None:
    """Remove the checkpoints of one seed, of whatever identity, and the folders that this leaves empty."""
    for path in folder(results, dataset, variant).glob(f"*/seed-{seed}.h5"):
        path.unlink()
        storage.remove_empty(path.parent, levels=4)  # identity, variant, data set, state
