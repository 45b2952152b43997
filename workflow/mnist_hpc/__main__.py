"""Train, evaluate and compare model variants on MNIST; commands for the workflow and for users."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from mnist_hpc.cluster import attempts
from mnist_hpc.console import say
from mnist_hpc.errors import Interrupted, UserError, reason
from mnist_hpc.preload import delegated

STAGES = ("fetch", "convert", "train", "evaluate", "perturb", "sweep", "rank", "tabulate", "draw", "report")
COMMANDS = (
    *("status", "clean", "doctor", "probe", "orphans", "node", "supervise", "resources", "predict"),
    *("export", "preload"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 2 for a known error, reported on one line; 75 for an interruption."""
    given = sys.argv[1:] if arguments is None else arguments
    # Keras would read the user's keras.json, in which another order of axes makes results wrong; here it finds none.
    os.environ["KERAS_HOME"] = os.devnull
    try:
        if arguments is None and (code := delegated(given)) is not None:
            return code
        options = vars(_parser(given[0] if given else None).parse_args(given))
        command = options.pop("module")
        if "config" in options:
            from mnist_hpc.study import check

            options["overrides"] = dict(options["overrides"])
            check.load(options["config"], options["overrides"])
        record, mem_mb = options.pop("attempts", None), options.pop("mem_mb", 0)
        stage = command.__name__.rpartition(".")[2]
        with attempts.recorded(record, stage, mem_mb) if record else contextlib.nullcontext():
            command.run(**options)
    except (UserError, OSError) as error:
        text = str(error) if isinstance(error, UserError) else reason(error)
        if isinstance(error, FileNotFoundError) and error.filename:
            text = f"{error.filename}: not found"
        say(f"mnist_hpc: error: {text}")
        return 2
    except Interrupted as interruption:
        say(f"mnist_hpc: interrupted: {interruption}")
        return 75
    except KeyboardInterrupt:
        say("mnist_hpc: interrupted")
        return 130
    return 0


def _parser(name: str | None) -> argparse.ArgumentParser:
    """Return the parser of one command, which saves the imports of the others, or of all if none is named."""
    parser = argparse.ArgumentParser(prog="python -m mnist_hpc", description=__doc__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    places = dict.fromkeys(STAGES, "stages") | dict.fromkeys(COMMANDS, "commands")
    for command in [name] if name in places else places:
        module = import_module(f"mnist_hpc.{places[command]}.{command}")
        text = str(module.__doc__).replace("``", "")
        added = commands.add_parser(command, help=text, description=text)
        module.arguments(added)
        added.set_defaults(module=module)
    return parser


if __name__ == "__main__":
    sys.exit(main())
