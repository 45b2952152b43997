"""Run a command whose trainings and evaluations are forked from a process that has imported TensorFlow."""

import argparse

from mnist_hpc import preload


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="such as snakemake --profile ...")


def run(words: list[str]) -> None:
    """Become the command, see ``mnist_hpc.preload``; raise UserError if there is none."""
    preload.become(words)
