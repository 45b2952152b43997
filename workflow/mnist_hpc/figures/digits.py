"""The digits that a variant reads worst, with what it took them for."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from matplotlib.patches import Rectangle

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.files import hdf5
from mnist_hpc.study.specification import Study

COLUMNS, ROWS = 6, 5
# Height and width that an image has with its text, pixels.
CELL = (44, 34)
# Test images of MNIST whose label most people would not give, with the label the file says: C. Northcutt et al.,
# https://github.com/cleanlab/label-errors.
LABEL_ERRORS = {
    947: 8,
    1621: 0,
    1901: 9,
    2130: 4,
    2462: 2,
    2597: 5,
    2654: 6,
    3520: 6,
    3558: 5,
    5937: 5,
    6651: 0,
    6783: 1,
    8527: 4,
    9679: 6,
    9729: 5,
}


@dataclass(frozen=True)
class Hard:
    """A test image that is hard to read.

    Attributes:
        index: its place in the test file.
        image: uint8 (28, 28).
        label: its class, as the file says.
        predicted: what it is read as, by the mean probabilities of all seeds.
        confidence: mean probability of that class.
        own: mean probability of its own class.
        wrong: how many seeds read it wrongly.
    """

    index: int
    image: np.ndarray
    label: int
    predicted: int
    confidence: float
    own: float
    wrong: int


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the hardest digits of all variants that read images."""
    for variant, file in figures.files(study, kind).items():
        hard, seeds, wrong, total = hardest(
            results / block.folder / "predictions.h5" for block in study.blocks_of(variant)
        )
        dataset = study.variants[variant].dataset
        title = f"{variant} on {dataset}: the hardest of {total:,} test images, {wrong} of them\n"
        title += f"read wrongly (n = {seeds}). Class → read as, confidence, seeds that are wrong"
        gallery(hard, title, seeds, results / file, errors_known=dataset == "mnist" and total == 10_000)


def hardest(files: Iterable[Path]) -> tuple[list[Hard], int, int, int]:
    """Return the images whose own class got the least mean probability over all seeds, worst first.

    Args:
        files: predictions.h5 of all blocks of a variant.

    Returns:
        Images, and numbers: of seeds, of wrongly read images by mean probabilities, of test images.
    """
    images: dict[int, np.ndarray] = {}
    parts: list[np.ndarray] = []
    labels = np.zeros(0, np.uint8)
    for path in files:
        with hdf5.reading(path) as file:
            labels = file["labels"][()]
            images |= _examples(file)
            parts += [group["probabilities"][()] for name, group in file.items() if name.startswith("seed-")]
    if not parts:
        return [], 0, 0, len(labels)
    mean = np.mean(parts, axis=0)
    own, predicted = mean[np.arange(len(labels)), labels], mean.argmax(axis=1)
    misses = np.sum([part.argmax(axis=1) != labels for part in parts], axis=0)
    known = np.array(sorted(images))
    order = known[np.lexsort((own[known], predicted[known] == labels[known]))][: COLUMNS * ROWS]
    hard = [
        Hard(
            *(int(index), images[index], int(labels[index]), int(predicted[index])),
            *(float(mean[index, predicted[index]]), float(own[index]), int(misses[index])),
        )
        for index in order
    ]
    return hard, len(parts), int((predicted != labels).sum()), len(labels)


def _examples(file: h5py.File) -> dict[int, np.ndarray]:
    examples = file["examples"]
    return dict(zip(examples["index"][()].tolist(), examples["images"][()], strict=True))


def gallery(hard: list[Hard], title: str, seeds: int, path: Path, *, errors_known: bool) -> None:
    """Draw images with what they were read as, rightly read ones in blue, known label errors in a frame.

    Args:
        hard: to draw, in this order.
        title: of the figure.
        seeds: how many read them.
        path: of the SVG to write.
        errors_known: whether ``LABEL_ERRORS`` are about these images.
    """
    rows = max(1, -(-len(hard) // COLUMNS))
    known = {image.index for image in hard if errors_known and LABEL_ERRORS.get(image.index) == image.label}
    with style.figure(path, 0.6 + 1.2 * rows + 0.25 * bool(known), title) as made:
        if not hard:
            return style.say_nothing_is_there(made)
        axes = made.subplots()  # one for all: thirty would take ten times as long
        axes.set_axis_off()
        axes.set(xlim=(0, CELL[1] * COLUMNS), ylim=(CELL[0] * rows, 0), aspect="equal")
        for place, image in enumerate(hard):
            top, left = CELL[0] * (place // COLUMNS) + 7, CELL[1] * (place % COLUMNS) + 3
            box = (left, left + 28, top + 28, top)
            axes.imshow(image.image, cmap="gray_r", vmin=0, vmax=255, interpolation="none", extent=box)
            text, colour = f"{image.label} → {image.predicted}  {image.confidence:.0%}", "black"
            colour = style.BLUE if image.predicted == image.label else colour
            axes.text(left + 14, top - 1, text, fontsize=8, color=colour, ha="center", va="bottom")
            wrong = f"{image.wrong} of {seeds}"
            axes.text(left + 14, top + 29, wrong, fontsize=7, color=style.GREY, ha="center", va="top")
            if image.index in known:
                axes.add_patch(Rectangle((left, top), 28, 28, fill=False, color=style.VERMILION, linewidth=2))
        if known:
            made.supxlabel("framed: a known label error of MNIST", fontsize=8, color=style.VERMILION)
    return None
