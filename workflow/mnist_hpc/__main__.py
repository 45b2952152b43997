"""The command line: parses, calls a stage or a command, and turns known errors into one line."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnist_hpc import commands, stages
from mnist_hpc.errors import Interrupted, UserError, reason


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 2 for a known error, told on one line, 75 for an interruption."""
    try:
        options = vars(_parser().parse_args(arguments))
        command = options.pop("run")
        with _recorded(command.__name__, options.pop("attempts", None), options.pop("mem_mb", 0)):
            command(**options)
    except (UserError, OSError) as error:
        text = str(error) if isinstance(error, UserError) else reason(error)
        if isinstance(error, FileNotFoundError) and error.filename:
            text = f"{error.filename}: not found"
        print(f"mnist_hpc: error: {text}", file=sys.stderr)
        return 2
    except Interrupted as interruption:
        stages.say(f"mnist_hpc: interrupted: {interruption}")
        return 75
    except KeyboardInterrupt:
        stages.say("mnist_hpc: interrupted")
        return 130
    return 0


def _recorded(stage: str, record: Path | None, mem_mb: int) -> contextlib.AbstractContextManager[None]:
    if record is None:
        return contextlib.nullcontext()
    from mnist_hpc import attempts

    return attempts.recorded(record, stage, mem_mb)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m mnist_hpc", description=__doc__)
    names = parser.add_subparsers(title="commands", required=True)

    def command(run: Any) -> argparse.ArgumentParser:
        added = names.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        added.set_defaults(run=run)
        return added

    _add_stages(command)
    _add_commands(command)
    return parser


def _add_stages(command: Callable[[Any], argparse.ArgumentParser]) -> None:
    added = command(stages.fetch)
    _of_study(added)
    added.add_argument("--dataset", required=True, help="a data set of the config")
    added.add_argument("--folder", type=Path, required=True, help="where its files go")
    added.add_argument("--timeout", type=float, default=20.0, help="seconds a mirror may stay silent")
    added.add_argument("--tries", type=int, default=3, help="how often a mirror is asked for a file")

    added = command(stages.convert)
    added.add_argument("--dataset", required=True, help="name of the data set")
    added.add_argument("--entry", type=_json, metavar="JSON", help="its entry of the config; null: built in")
    added.add_argument("--folder", type=Path, required=True, help="where its raw files lie and the HDF5 ones go")

    added = command(stages.train)
    added.add_argument("--data", type=Path, required=True, help="train.h5")
    added.add_argument("--variant", required=True, help="name of the variant")
    added.add_argument(
        "--specification", type=_json, required=True, metavar="JSON", help="layers, loss, optimizer, ..."
    )
    added.add_argument("--choice", type=Path, nargs="?", help="best.json of a sweep, whose values replace its own")
    added.add_argument("--seeds", type=_seeds, required=True, metavar="FIRST-LAST", help="as 0-4")
    added.add_argument("--models", type=Path, required=True, help="models.h5 to write")
    added.add_argument("--history", type=Path, required=True, help="history.csv to write")
    added.add_argument("--state", type=Path, help="folder for checkpoints; without it an interruption loses the run")
    _of_training(added)

    added = command(stages.evaluate)
    added.add_argument("--models", type=Path, required=True, help="models.h5")
    added.add_argument("--data", type=Path, required=True, help="test.h5")
    added.add_argument("--metrics", type=Path, required=True, help="metrics.csv to write")
    added.add_argument("--predictions", type=Path, required=True, help="predictions.h5 to write")
    _of_job(added)

    added = command(stages.sweep)
    added.add_argument("--data", type=Path, required=True, help="train.h5")
    added.add_argument("--name", required=True, help="of the sweep")
    added.add_argument("--variant", required=True, help="name of the variant it is about")
    _of_sweep(added)
    added.add_argument("--part", type=_part, default=(1, 1), metavar="K/N", help="which of N parts this job trains")
    added.add_argument("--points", type=Path, required=True, help="CSV to write")
    added.add_argument("--state", type=Path, required=True, help="folder for checkpoints")
    _of_training(added)

    added = command(stages.rank)
    added.add_argument("--parts", type=Path, nargs="+", required=True, help="CSV files of the sweep's jobs")
    _of_sweep(added)
    added.add_argument("--points", type=Path, required=True, help="points.csv to write")
    added.add_argument("--best", type=Path, required=True, help="best.json to write")
    added.add_argument("--state", type=Path, required=True, help="folder of the sweep's checkpoints, to be removed")

    added = command(stages.tabulate)
    _of_results(added)
    added = command(stages.draw)
    _of_results(added)
    added.add_argument("--figure", required=True, help="which kind, as accuracy-time")
    added = command(stages.pages)
    _of_results(added)
    added.add_argument("--lecture", type=Path, metavar="FOLDER", help="only the lecture, as text for a code host")


def _add_commands(command: Callable[[Any], argparse.ArgumentParser]) -> None:
    added = command(commands.status)
    _of_results(added)
    added = command(commands.reported)
    _of_results(added)
    added = command(commands.clean)
    _of_results(added)
    added.add_argument("--yes", action="store_true", help="do not ask")

    added = command(commands.doctor)
    _of_results(added)
    added.add_argument("--profile", type=Path, required=True, help="folder of the profile")
    added.add_argument("--wait", type=int, default=60, help="seconds a compute node may take to start the trial job")

    added = command(commands.probe)
    _of_gpu(added)
    added.add_argument("--answer", type=Path, required=True, help="file to write, on the shared file system")

    added = command(commands.orphans)
    added.add_argument("--then", choices=("wait", "cancel", "adopt"), help="what to do with them")
    added.add_argument("--files", action="store_true", help="print what they will write, for --omit-from")

    added = command(commands.resources)
    _of_results(added)
    added.add_argument("--logs", type=Path, default=Path("logs/slurm"), help="folder of the logs of Slurm jobs")

    for run, argument in ((commands.predict, "picture"), (commands.export, "output")):
        added = command(run)
        added.add_argument("--model", type=Path, required=True, help="models.h5 of a block")
        added.add_argument("--seed", type=int, help="which of its seeds; the first by default")
        added.add_argument(argument, type=Path)


def _of_study(added: argparse.ArgumentParser) -> None:
    added.add_argument("--config", type=Path, default=Path("config.yaml"), help="the study's config.yaml")
    added.add_argument(
        "--set",
        dest="overrides",
        type=_pair,
        nargs="*",
        action=_Mapping,
        default={},
        metavar="KEY=VALUE",
        help="keys to change in it, as Snakemake's --config",
    )


def _of_results(added: argparse.ArgumentParser) -> None:
    _of_study(added)
    added.add_argument("--results", type=Path, default=Path("results"), help="the folder results")


def _of_sweep(added: argparse.ArgumentParser) -> None:
    added.add_argument("--sweep", type=_json, required=True, metavar="JSON", help="specification, grid, seeds, ...")


def _of_job(added: argparse.ArgumentParser) -> None:
    added.add_argument("--threads", type=_count, default=1, help="CPU threads")
    added.add_argument("--attempts", type=Path, metavar="FILE", help="record of this job's tries")
    added.add_argument("--mem-mb", type=int, default=0, help="memory the job asked for, for that record")


def _of_training(added: argparse.ArgumentParser) -> None:
    _of_job(added)
    _of_gpu(added)
    added.add_argument("--checkpoint-seconds", type=float, default=60.0, help="how often to save")


def _of_gpu(added: argparse.ArgumentParser) -> None:
    added.add_argument("--require-gpu", type=int, choices=(0, 1), default=0, help="1: fail where no GPU is visible")


class _Mapping(argparse.Action):
    """Keeps pairs as a mapping."""

    def __call__(self, _parser: Any, namespace: argparse.Namespace, values: Any, _option: Any = None) -> None:
        setattr(namespace, self.dest, dict(values))


def _pair(text: str) -> tuple[str, Any]:
    import yaml

    key, separator, value = text.partition("=")
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        separator = ""
    if not separator:
        raise UserError(f"--set: found {text!r}, expected KEY=VALUE, as max_seeds=1")
    return key, found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"found {text!r}, expected JSON ({error})") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UserError(f"found {text!r}, expected a whole number from 1")
    return int(text)


def _part(text: str) -> tuple[int, int]:
    number, _, parts = text.partition("/")
    return int(number), int(parts)


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    if not seeds:
        raise UserError(f"--seeds: found {text!r}, expected FIRST-LAST, as 0-4")
    return seeds


if __name__ == "__main__":
    sys.exit(main())
