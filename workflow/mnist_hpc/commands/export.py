"""Write a trained model as a .keras file; it maps images (N, 28, 28, 1) from 0 to 1 to logits."""

import argparse
from pathlib import Path

from mnist_hpc import options
from mnist_hpc.errors import UserError
from mnist_hpc.files.atomic import atomic
from mnist_hpc.training import device


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_model(parser)
    parser.add_argument("output", type=Path, help=".keras file to write")


def run(model: Path, seed: int | None, output: Path) -> None:
    """Write the file; raise UserError if the model cannot be read or the name does not end in .keras."""
    if output.suffix != ".keras":
        raise UserError(f"{output}: expected a name that ends in .keras")
    options.check_model(model)
    device.prepare(threads=1)

    from mnist_hpc.training import models

    network = models.load(model, seed)
    with atomic(output) as temporary:
        renamed = temporary.with_suffix(".keras")  # by which Keras knows the format
        try:
            network.save(renamed)
            renamed.replace(temporary)
        finally:
            renamed.unlink(missing_ok=True)
