"""Dry runs of Snakemake in a fraction of their time: a process that has imported Snakemake forks one for each.

A dry run forked from it imports the project's own package afresh, from the study's folder, as the command does.
"""

import atexit
import gc
import json
import os
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path

# What the command imports, and what the package imports of others until a plan is made.
IMPORTED = (
    *("snakemake.cli", "snakemake.workflow", "snakemake.report", "snakemake.report.html_reporter", "numpy", "pandas"),
    *("jsonschema", "jsonschema.validators", "yte", "PIL", "requests", "jinja2", "yaml"),
)


def dry_run(
    project: Path, *arguments: object, profile: str = "local", **environment: str
) -> subprocess.CompletedProcess:
    """Return what ``snakemake -n`` with these arguments prints in a project, its two streams together.

    Args:
        project: Folder of the study; its own copy of the package is used.
        arguments: Arguments after ``--profile`` and ``-n``.
        profile: Profile of the project.
        environment: Variables to set.
    """
    words = ["snakemake", "--profile", f"profiles/{profile}", "-n", *map(str, arguments)]
    variables = {**os.environ, "PYTHONPATH": str(project / "workflow"), **environment}
    server = _server()
    print(json.dumps([str(project), words, variables]), file=server.stdin, flush=True)
    code, output = json.loads(server.stdout.readline())
    return subprocess.CompletedProcess(words, code, output)


@cache
def _server() -> subprocess.Popen[str]:
    """Start the process that forks."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    atexit.register(server.communicate)  # closes its input, which ends it
    return server


def serve() -> None:
    """Answer requests, one a line, until the input ends."""
    for name in IMPORTED:
        import_module(name)
    for name in [name for name in sys.modules if name.startswith("mnist_hpc")]:
        del sys.modules[name]  # the plugins of this project, which Snakemake has found, imported it
    gc.disable()  # no plan lives long enough to need it
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as output:
            child = os.fork()
            if not child:
                _plan(output.fileno(), *json.loads(line))
            _, status = os.waitpid(child, 0)
            output.seek(0)
            print(json.dumps([os.waitstatus_to_exitcode(status), output.read()]), flush=True)


def _plan(output: int, project: str, words: list[str], environment: dict[str, str]) -> None:
    """Make one dry run, and end the process."""
    code = 1
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(project)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[0] = environment["PYTHONPATH"]
        # An edit and its reversal within a second would look alike to cached bytecode.
        sys.dont_write_bytecode = True
        sys.argv = words
        import_module("snakemake.cli").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  whatever it is, it belongs into the output
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
