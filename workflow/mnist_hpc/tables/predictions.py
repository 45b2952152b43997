"""What the runs of a study predicted for the test images; the test file itself is not opened."""

from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

import numpy as np

from mnist_hpc.files import hdf5
from mnist_hpc.study.layout import Block
from mnist_hpc.study.specification import Study


class Predictions:
    """The files predictions.h5 of a study, read on demand."""

    def __init__(self, study: Study, results: Path) -> None:
        """Remember where they are; ``results`` is the folder of all results."""
        self._results, self._blocks = results, study.blocks
        # Only results are kept, one byte per image: the probabilities of a large study do not fit into memory.
        self._of_block = cache(self._read_correct)
        self.committee = cache(self._committee)

    def correct(self, variant: str, seeds: Collection[int]) -> np.ndarray:
        """Return which test images each of some seeds of a variant classifies correctly, bool (seeds, N)."""
        found: dict[int, np.ndarray] = {}
        for block in self._those([variant], seeds):
            found |= self._of_block(block)
        return np.array([found[seed] for seed in seeds])

    def _those(self, variants: Iterable[str], seeds: Iterable[int]) -> list[Block]:
        """Return the blocks that have some of these seeds of these variants."""
        wanted = set(seeds)
        return [
            block for name in variants for block in self._blocks if block.variant == name and wanted & {*block.seeds}
        ]

    def _read_correct(self, block: Block) -> dict[int, np.ndarray]:
        """Return by seed of a block which images it classifies correctly; a seed that failed has no predictions."""
        with hdf5.reading(self._results / block.folder / "predictions.h5") as file:
            labels, outputs = file["labels"][()], {seed: f"seed-{seed}/probabilities" for seed in block.seeds}
            return {seed: file[name][()].argmax(axis=1) == labels for seed, name in outputs.items() if name in file}

    def _committee(self, variants: tuple[str, ...], seeds: tuple[int, ...]) -> np.ndarray:
        """Return which test images all members classify correctly together, by the mean of their outputs, bool (N,).

        The variants have one data set and one loss; seeds that a variant does not have are left out.
        """
        total: np.ndarray | float = 0.0
        labels = np.array([])
        for block in self._those(variants, seeds):
            with hdf5.reading(self._results / block.folder / "predictions.h5") as file:
                labels = file["labels"][()]
                for seed in sorted({*block.seeds} & {*seeds}):
                    total = total + file[f"seed-{seed}/probabilities"][()].astype(np.float64)
        return np.argmax(total, axis=1) == labels
