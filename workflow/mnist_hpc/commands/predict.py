"""Classify the digit in a picture."""

import argparse
from pathlib import Path

from mnist_hpc import options
from mnist_hpc.data.picture import read_digit
from mnist_hpc.errors import UserError
from mnist_hpc.training import device
from mnist_hpc.training.models_file import read_models


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_model(parser)
    parser.add_argument("picture", type=Path, help="PNG, JPEG, ... of one digit")


def run(model: Path, seed: int | None, picture: Path) -> None:
    """Print the predicted digit, and the three highest outputs (0 to 1); raise UserError for unusable files."""
    options.check_model(model)
    image = read_digit(picture)
    header, _ = read_models(model)
    if tuple(header["input_shape"]) != (28, 28, 1):
        raise UserError(
            f"{model}: the model was trained on {header['dataset']}, which has no images; choose another model"
        )
    device.prepare(threads=1)

    from mnist_hpc.training import models

    network = models.load(model, seed)
    _, (outputs,) = models.predictor(network, *header["loss"])(image[None])
    best = sorted(enumerate(outputs.numpy()), key=lambda pair: -pair[1])[:3]
    print(f"{best[0][0]}  ({', '.join(f'{digit}: {value:.3f}' for digit, value in best)})")
