"""Checkpoints of interrupted and finished trainings, kept until their results are in the tables.

Each seed has a file, ``results/state/<dataset>/<variant>/<identity>/<kind>/seed-<n>.h5``. The identity is a hash of
specification, data and code, so that no other training finds the checkpoint. The kind is that of the device, see
``device.kind``: a training that went on elsewhere would not be bit-identical to an undisturbed one. The files are not
declared to Snakemake, which deletes the outputs of a job when it starts over.
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
    """Checkpoint of one seed: an HDF5 file."""

    path: Path
    seconds: float = 60.0  # between two saves

    @property
    def _place(self) -> str:
        """Identity, kind and seed, which a file that was copied from elsewhere does not match."""
        return "/".join(self.path.parts[-3:])

    def save(self, record: Record, arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the checkpoint atomically by a JSON object and numeric arrays."""
        with hdf5.writing(self.path, {"record": json.dumps(record), "place": self._place}) as file:
            group = file.create_group("arrays")
            for name, value in arrays.items():
                group[name] = value

    def load(self) -> tuple[Record, Arrays] | None:
        """Return what was saved, or None if there is no file; raise UserError if it is damaged."""
        if not self.path.exists():
            return None
        with hdf5.reading(self.path, place=self._place) as file:
            return json.loads(file.attrs["record"]), hdf5.arrays(file, "arrays")

    def found(self, report: Callable[[str], None]) -> tuple[Record, Arrays] | None:
        """Return what was saved, or None; report a damaged file, which the next save replaces."""
        try:
            return self.load()
        except UserError as error:
            report(f"warning: damaged checkpoint ignored, starting over ({error})")
            return None


def elsewhere(folder: Path, kind: str, names: Iterable[str]) -> list[str]:
    """Return the other kinds of devices that have a checkpoint of a training which has none of this kind.

    The checkpoints of each kind are in a folder of its own, under these names.
    """
    lacking = [name for name in names if not (folder / kind / name).exists()]
    return sorted({path.parent.name for name in lacking for path in folder.glob(f"*/{name}")})


def folder(results: Path, dataset: str, variant: str) -> Path:
    """Return the folder of a variant's checkpoints."""
    return results / "state" / dataset / variant


def remove_finished(results: Path, blocks: Iterable[Block], finished: Collection[tuple[str, int]]) -> None:
    """Remove the checkpoints of finished seeds (pairs of variant and seed), and the records of finished blocks."""
    for block in blocks:
        done = [seed for seed in block.seeds if (block.variant, seed) in finished]
        for seed in done:
            for path in [*folder(results, block.dataset, block.variant).glob(f"**/seed-{seed}.h5")]:
                path.unlink()
                remove_empty(path.parent, levels=5)  # kind, identity, variant, data set, state
        if len(done) == len(block.seeds):
            record = results / block.record
            record.unlink(missing_ok=True)
            remove_empty(record.parent, levels=3)  # variant, data set, state
