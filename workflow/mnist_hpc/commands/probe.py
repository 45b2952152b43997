"""Start TensorFlow and record what it sees; this is the trial job of ``make doctor``."""

import argparse
import json
from pathlib import Path

from mnist_hpc import options
from mnist_hpc.files.atomic import atomic
from mnist_hpc.training import device


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    options.add_gpu(parser)
    parser.add_argument("--answer", type=Path, required=True, help="JSON file to write, on the shared file system")


def run(require_gpu: int, answer: Path) -> None:
    """Write the device and the versions; raise UserError if a GPU is required and none is visible."""
    found = {"device": device.prepare(threads=1, require_gpu=bool(require_gpu)), **device.versions()}
    with atomic(answer) as temporary:
        temporary.write_text(json.dumps(found))
