"""The digits that a variant classifies worst, and what it takes them for."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.patches import Rectangle

from mnist_hpc import figures
from mnist_hpc.figures import style
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import mistakes

COLUMNS, ROWS = 6, 5
# Height and width of an image with its text, pixels.
CELL = (44, 34)


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw the hardest digits of all variants that classify images."""
    for variant, file in figures.files(study, kind).items():
        files = [results / block.folder / "predictions.h5" for block in study.blocks_of(variant)]
        hard, seeds, wrong, total = mistakes.hardest(files, COLUMNS * ROWS)
        dataset = study.variants[variant].dataset
        title = f"{variant} on {dataset}: the hardest of {total:,} test images, {wrong} of them\n"
        title += f"misclassified (n = {seeds}). Class → prediction, confidence, wrong seeds"
        gallery(hard, title, seeds, results / file, mistakes.label_errors(dataset, total))


def gallery(hard: list[mistakes.Hard], title: str, seeds: int, path: Path, errors: Mapping[int, int]) -> None:
    """Draw images with their predicted classes, correct ones in blue, and frames where a label error is known."""
    rows = max(1, -(-len(hard) // COLUMNS))
    known = {image.index for image in hard if errors.get(image.index) == image.label}
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
