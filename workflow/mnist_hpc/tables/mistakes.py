"""The test images that a variant classifies worst, and what it takes them for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist_hpc.files import hdf5

# Test images of MNIST whose label most people would not give, with the label of the file: C. Northcutt et al.,
# https://github.com/cleanlab/label-errors.
LABEL_ERRORS = {
    947: 8, 1621: 0, 1901: 9, 2130: 4, 2462: 2, 2597: 5, 2654: 6, 3520: 6, 3558: 5, 5937: 5, 6651: 0, 6783: 1, 8527: 4,
    9679: 6, 9729: 5,
}  # fmt: skip


@dataclass(frozen=True)
class Hard:
    """A test image that is hard to classify."""

    index: int  # its position in the test file
    image: np.ndarray  # its pixels, uint8 (28, 28)
    label: int  # its class in the test file
    predicted: int  # the class with the highest mean probability over all seeds
    confidence: float  # mean probability of the predicted class
    wrong: int  # number of seeds that misclassify it


def hardest(files: Iterable[Path], most: int) -> tuple[list[Hard], int, int, int]:
    """Return the images whose own class has the least mean probability over all seeds, misclassified ones first.

    There are at most ``most``.
    Further values: numbers of seeds, of images misclassified by mean probabilities, and of all test images.
    """
    images: dict[int, np.ndarray] = {}
    parts: list[np.ndarray] = []
    labels = np.zeros(0, np.uint8)
    for path in files:
        with hdf5.reading(path) as file:
            labels, examples = file["labels"][()], file["examples"]
            images |= dict(zip(examples["index"][()].tolist(), examples["images"][()], strict=True))
            parts += [group["probabilities"][()] for name, group in file.items() if name.startswith("seed-")]
    if not parts:
        return [], 0, 0, len(labels)
    mean = np.mean(parts, axis=0)
    own, predicted, confidence = mean[np.arange(len(labels)), labels], mean.argmax(axis=1), mean.max(axis=1)
    misses = np.sum([part.argmax(axis=1) != labels for part in parts], axis=0)
    known = np.array(sorted(images))
    order = known[np.lexsort((own[known], predicted[known] == labels[known]))][:most].tolist()
    facts = [values.tolist() for values in (labels, predicted, confidence, misses)]
    hard = [Hard(index, images[index], *(values[index] for values in facts)) for index in order]
    return hard, len(parts), int((predicted != labels).sum()), len(labels)


def label_errors(dataset: str, images: int) -> Mapping[int, int]:
    """Return the known label errors of a data set with this number of test images: position to label in the file."""
    return LABEL_ERRORS if dataset == "mnist" and images == 10_000 else {}
