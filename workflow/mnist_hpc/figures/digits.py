"""The digits that a variant classifies worst, and what it takes them for."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.patches import Rectangle

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.files import hdf5
from mnist_hpc.study.specification import Study

COLUMNS, ROWS = 6, 5
# Height and width of an image with its text, pixels.
CELL = (44, 34)
# Test images of MNIST whose label most people would not give, with the label of the file: C. Northcutt et al.,
# https://github.com/cleanlab/label-errors.
LABEL_ERRORS = {
    947: 8, 1621: 0, 1901: 9, 2130: 4, 2462: 2, 2597: 5, 2654: 6, 3520: 6, 3558: 5, 5937: 5, 6651: 0, 6783: 1, 8527: 4,
    9679: 6, 9729: 5,
}  # fmt: skip


@dataclass(frozen=True)
class Hard:
    """A test image that is hard to classify.

    Attributes:
        index: Its position in the test file.
        image: Its pixels, uint8 (28, 28).
        label: Its class in the test file.
        predicted: The class with the highest mean probability over all seeds.
        confidence: Mean probability of the predicted class.
        wrong: Number of seeds that misclassify it.
    """

    index: int
    image: np.ndarray
    label: int
    predicted: int
    confidence: float
    wrong: int


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the hardest digits of all variants that classify images."""
    for variant, file in figures.files(study, kind).items():
        files = [results / block.folder / "predictions.h5" for block in study.blocks_of(variant)]
        hard, seeds, wrong, total = hardest(files)
        dataset = study.variants[variant].dataset
        title = f"{variant} on {dataset}: the hardest of {total:,} test images, {wrong} of them\n"
        title += f"misclassified (n = {seeds}). Class → prediction, confidence, wrong seeds"
        gallery(hard, title, seeds, results / file, errors_known=dataset == "mnist" and total == 10_000)


def hardest(files: Iterable[Path]) -> tuple[list[Hard], int, int, int]:
    """Return the images whose own class has the least mean probability over all seeds, misclassified ones first.

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
    order = known[np.lexsort((own[known], predicted[known] == labels[known]))][: COLUMNS * ROWS].tolist()
    facts = [values.tolist() for values in (labels, predicted, confidence, misses)]
    hard = [Hard(index, images[index], *(values[index] for values in facts)) for index in order]
    return hard, len(parts), int((predicted != labels).sum()), len(labels)


def gallery(hard: list[Hard], title: str, seeds: int, path: Path, *, errors_known: bool) -> None:
    """Draw images with their predicted classes, correct ones in blue.

    With ``errors_known``, images with a known label error have a frame.
    """
    rows = max(1, -(-len(hard) // COLUMNS))
    known = {image.index for image in hard if errors_known and LABEL_ERRORS.get(image.index) == image.label}
    with style.figure(path, 0.6 + 1.2 * rows + 0.25 * bool(known), title) as made:
        if not hard:
            style.note(made)
            return
        axes = made.subplots()  # one for all images: thirty would take ten times as long
        axes.set_axis_off()
        axes.set(xlim=(0, CELL[1] * COLUMNS), ylim=(CELL[0] * rows, 0), aspect="equal")
        for place, image in enumerate(hard):
            top, left = CELL[0] * (place // COLUMNS) + 7, CELL[1] * (place % COLUMNS) + 3
            box = (left, left + 28, top + 28, top)
            axes.imshow(image.image, cmap="gray_r", vmin=0, vmax=255, interpolation="none", extent=box)
            above, below = f"{image.label} → {image.predicted}  {image.confidence:.0%}", f"{image.wrong} of {seeds}"
            colour = style.BLUE if image.predicted == image.label else "black"
            axes.text(left + 14, top - 1, above, fontsize=8, color=colour, ha="center", va="bottom")
            axes.text(left + 14, top + 29, below, fontsize=7, color=style.GREY, ha="center", va="top")
            if image.index in known:
                axes.add_patch(Rectangle((left, top), 28, 28, fill=False, color=style.VERMILION, linewidth=2))
        if known:
            made.supxlabel("framed: a known label error of MNIST", fontsize=8, color=style.VERMILION)
