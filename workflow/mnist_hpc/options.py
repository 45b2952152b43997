"""Command-line options and value types that several stages and commands share."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.study import finite


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that reads the results of a study: its config, changed keys of it, the folder."""
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="the study's config.yaml")
    text = "config keys to change, like Snakemake's --config"
    parser.add_argument("--set", dest="overrides", type=_pair, nargs="*", default=[], metavar="KEY=VALUE", help=text)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of all results")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options of a command that uses a trained model."""
    parser.add_argument("--model", type=Path, required=True, help="models.h5 of a block")
    parser.add_argument("--seed", type=int, help="which of its seeds; the first by default")


def check_model(path: Path) -> None:
    """Raise OSError if what ``--model`` names cannot be read, UserError if it is another file than models.h5."""
    from mnist_hpc.files import hdf5  # imports h5py, which other commands do without

    with path.open("rb"):
        pass
    with hdf5.reading(path) as file:
        groups = list(file)
    if not all(name.startswith("seed-") for name in groups):
        raise UserError(f"{path}: found {', '.join(groups)} in it, expected seeds; choose the models.h5 of a block")


def add_paths(parser: argparse.ArgumentParser, **meanings: str) -> None:
    """Add required options that name a file or folder each."""
    for name, meaning in meanings.items():
        parser.add_argument(f"--{name}", type=Path, required=True, help=meaning)


def add_names(parser: argparse.ArgumentParser, **meanings: str) -> None:
    """Add required options that are text each."""
    for name, meaning in meanings.items():
        parser.add_argument(f"--{name}", required=True, help=meaning)


def add_json(parser: argparse.ArgumentParser, **meanings: str) -> None:
    """Add required options that are JSON each."""
    for name, meaning in meanings.items():
        parser.add_argument(f"--{name}", type=json_value, required=True, metavar="JSON", help=meaning)


def add_job(parser: argparse.ArgumentParser) -> None:
    """Add the options of a stage that runs as a job of its own."""
    parser.add_argument("--threads", type=count, default=1, help="CPU threads")
    parser.add_argument("--attempts", type=Path, metavar="FILE", help="JSON file that records this attempt of the job")
    parser.add_argument("--mem-mb", type=int, default=0, help="memory that the job requested, for that record")
    parser.add_argument("--code-hash", default="", metavar="HASH", help="hash of the code, written into the results")


def add_gpu(parser: argparse.ArgumentParser) -> None:
    """Add the option that makes a missing GPU an error."""
    parser.add_argument("--require-gpu", type=int, choices=(0, 1), default=0, help="1: fail if no GPU is visible")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option that keeps a stage off the GPU."""
    parser.add_argument(
        "--gpu", type=int, choices=(0, 1), default=1, help="0: compute on the CPU even if there is a GPU"
    )


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add the options of a stage that trains."""
    add_job(parser)
    add_gpu(parser)
    add_device(parser)
    parser.add_argument("--checkpoint-seconds", type=seconds, default=60.0, help="seconds between two checkpoints")


def _pair(text: str) -> tuple[str, Any]:
    from mnist_hpc.study import config  # reads YAML, which the stages that train do without

    key, separator, value = text.partition("=")
    try:
        if separator:
            return key, config.value_of(value)
    except ValueError:
        pass
    raise UserError(f"--set: found {text!r}, expected KEY=VALUE, such as max_seeds=1")


def json_value(text: str) -> Any:
    """Return the value of a JSON option; raise UserError if it is not JSON, or a number not finite."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError(f"found {text!r}, expected JSON ({error})") from None
    finite.check(value)
    return value


def seconds(text: str) -> float:
    """Return a time from 0; raise UserError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UserError(f"found {text!r}, expected seconds, such as 60")
    return value


def count(text: str) -> int:
    """Return a positive integer; raise UserError for anything else."""
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"found {text!r}, expected a positive integer")
    return int(text)


def part(text: str) -> tuple[int, int]:
    """Return K and N of ``K/N``; raise UserError unless 1 ≤ K ≤ N."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UserError(f"--part: found {text!r}, expected K/N with K from 1 to N, such as 1/2")
    return int(match[1]), int(match[2])


def seeds(text: str) -> range:
    """Return the seeds of ``FIRST-LAST`` or of a single number; raise UserError if there are none."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    found = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
    if not found:
        raise UserError(f"--seeds: found {text!r}, expected FIRST-LAST, such as 0-4")
    return found
