"""Trainings that are forked from a process with TensorFlow: the same results, exit codes, messages, and ends."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import specification, without_times
from mnist_hpc.files import csv_table
from mnist_hpc.training.models_file import read_models

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the server needs Linux")

STAGE = [sys.executable, "-m", "mnist_hpc"]
# Steps of a training that is still at work when it is killed or told to stop: they take half a minute or more.
LONG = 200_000
# Seconds after which something that is waited for has failed.
PATIENCE = 600


def training(digits, folder, *options, **changes):
    """Return the command of a training of two seeds into a folder."""
    paths = ("--models", folder / "models.h5", "--history", folder / "history.csv", "--state", folder / "state")
    keys = json.dumps(specification(**changes))
    given = ("--data", digits / "train.h5", "--variant", "a", "--seeds", "0-1", "--specification", keys, *paths)
    return [*STAGE, "train", *map(str, (*given, *options))]


# What programs can use: ``stage(words)`` starts a stage, and ``server`` is the server's number.
PRELUDE = '''
import contextlib, io, json, os, signal, subprocess, sys, time, traceback
from pathlib import Path

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background process of a shell ignores

def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

(server,) = children(os.getpid())
started = []

def wait(condition):
    while not condition():
        time.sleep(0.05)

def uses_tensorflow(pid):
    return "tensorflow" in Path(f"/proc/{pid}/maps").read_text()

wait(lambda: "_pywrap_tensorflow" in Path(f"/proc/{server}/maps").read_text())

def stage(words):
    started.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True))
    return started[-1]

def worker():
    wait(lambda: children(server))
    return children(server)[0]

def begun(process):
    """Wait for a line of progress."""
    said = []
    for line in process.stderr:
        if ": step" in line:
            return
        said.append(line)
    raise AssertionError(f"no progress: {said}")

def stopped(process):
    """Ask a training that is at work to save and stop; return its exit code."""
    assert process.poll() is None, "it has ended by itself"
    process.terminate()
    process.stderr.read()
    return process.wait()
'''

# Runs one program, and ends.
ONE = """
commands, program = json.loads(sys.stdin.readline())
exec(program)
"""

# Runs one program after the other, and answers each with what it has printed and raised. It leaves nothing of a program
# to the next one.
MANY = """
environment = dict(os.environ)

def check():
    if not uses_tensorflow(server):
        sys.exit("the server has ended")

for line in sys.stdin:
    check()
    commands, program = json.loads(line)
    output, error = io.StringIO(), ""
    try:
        with contextlib.redirect_stdout(output):
            exec(program, {**globals()})
    except Exception:
        error = traceback.format_exc()
    os.kill(server, signal.SIGCONT)
    for process in started:
        process.kill()
        process.communicate()  # until what the server has forked for it, which writes to the same pipe, has ended
    started.clear()
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    check()
    wait(lambda: not children(server))
    print(json.dumps([output.getvalue(), error]), flush=True)
"""


def start(folder, program, **options):
    """Start a command with a server, in a process group of their own: ``PRELUDE`` and ``ONE`` or ``MANY``."""
    path = folder / "program.py"
    path.write_text(PRELUDE + program)
    command = [*STAGE, "preload", sys.executable, path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, start_new_session=True, **pipes | options)


def end(process):
    """Kill a command and its server, and with that what the server has forked."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def preloaded(tmp_path):
    """Return a function that starts a command with a server, for one program; all ends with the test."""
    started = []

    def begin(**environment):
        started.append(start(tmp_path, ONE, env={**os.environ, "TMPDIR": str(tmp_path), **environment}))
        return started[-1]

    yield begin
    for process in started:
        end(process)


def ran(process, program, *commands, code=0):
    """Give a command its program; return what that prints, word by word."""
    output, errors = process.communicate(json.dumps([commands, program]) + "\n", timeout=PATIENCE)
    assert process.returncode == code, errors
    return output.split()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a function that gives a program to a command, as ``ran`` does; one command and server serve many tests.

    If they end with a program, the next one gets new ones.
    """
    folder = tmp_path_factory.mktemp("shared")
    errors = folder / "errors"
    serving = []

    def run(program, *commands):
        if not serving:
            with errors.open("w") as file:
                serving.append(start(folder, MANY, stderr=file))
        process = serving[0]
        try:
            process.stdin.write(json.dumps([commands, program]) + "\n")
            process.stdin.flush()
            assert select.select([process.stdout], [], [], PATIENCE)[0], "no answer"
            answer = process.stdout.readline()
            assert answer, errors.read_text()
            output, error = json.loads(answer)
        except BaseException:
            end(serving.pop())
            raise
        assert not error, error
        return output.split()

    yield run
    for process in serving:
        end(process)


def gone(pid):
    """Return whether a process has ended; wait for that."""
    until = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_forked_training_gives_what_one_of_its_own_gives_and_leaves_nothing_behind(digits, tmp_path, preloaded):
    for name in ("own", "forked", "long"):
        (tmp_path / name).mkdir()
    subprocess.run(training(digits, tmp_path / "own"), check=True, capture_output=True)
    program = """
print(server, stage(commands[0]).wait())
process = stage(commands[1])
begun(process)
print(uses_tensorflow(process.pid), uses_tensorflow(worker()), len(os.listdir(f"/proc/{server}/task")))
print(stopped(process))
"""
    commands = training(digits, tmp_path / "forked"), training(digits, tmp_path / "long", steps=LONG)
    server, *found = ran(preloaded(), program, *commands)
    assert found == ["0", "False", "True", "1", "75"]
    (_, own), (_, other) = (read_models(tmp_path / name / "models.h5") for name in ("own", "forked"))
    for seed, model in own.items():
        assert all((weight == other[seed].weights[name]).all() for name, weight in model.weights.items())
    histories = [without_times(csv_table.read(tmp_path / name / "history.csv")) for name in ("own", "forked")]
    assert histories[0] == histories[1]
    assert gone(server)
    assert not list(tmp_path.glob("mnist-hpc-*"))


def test_errors_and_exit_codes_are_those_of_the_stage(digits, tmp_path, shared):
    program = """
for command in commands:
    process = stage(command)
    print(process.wait(), "Traceback" in (said := process.stderr.read()), "mnist_hpc: error:" in said)
"""
    lacking = training(tmp_path, tmp_path)
    wrong = [*training(digits, tmp_path), "--no-such-option"]
    assert shared(program, lacking, wrong) == ["2", "False", "True", "2", "False", "True"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_stage_saves_the_training(digits, tmp_path, shared, number):
    program = f"""
process = stage(commands[0])
begun(process)
print(uses_tensorflow(process.pid), process.poll())
process.send_signal({int(number)})
print(process.wait(), "continue" in process.stderr.read())
again = stage(commands[0])
print(any("continues at step" in line for line in again.stderr))
"""
    found = shared(program, training(digits, tmp_path, steps=LONG))
    assert found == ["False", "None", "75", "True", "True"]


@pytest.mark.parametrize("whom", ["process.pid", "server", "os.getpid()"], ids=["stage", "server", "command"])
def test_nothing_trains_on_when_a_part_is_killed(digits, tmp_path, preloaded, whom):
    program = f"""
process = stage(commands[0])
begun(process)
trains = worker()
print(process.pid, server, trains, flush=True)
os.kill({whom}, signal.SIGKILL)
print(process.wait())
wait(lambda: not Path(f"/proc/{{trains}}").exists())
"""
    code = 0 if whom != "os.getpid()" else -signal.SIGKILL
    command = training(digits, tmp_path, steps=LONG)
    stage, server, worker, *code_of_stage = ran(preloaded(), program, command, code=code)
    assert gone(worker)
    assert gone(server)
    assert gone(stage)
    assert code_of_stage in ([], [str(-signal.SIGKILL)])
    if whom == "os.getpid()":  # asked to save, as nobody will wait for it
        assert list(tmp_path.glob("state/**/seed-0.h5"))


def test_a_hang_up_that_the_stage_ignores_does_not_end_its_training(digits, tmp_path, shared):
    program = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
process = stage(commands[0])
begun(process)
print(uses_tensorflow(process.pid))
process.send_signal(signal.SIGHUP)
print(stopped(process))  # by SIGTERM, which the stage handles after SIGHUP
"""
    assert shared(program, training(digits, tmp_path, steps=LONG)) == ["False", "75"]


WAITING = """
os.kill(server, signal.SIGSTOP)
waiting = stage(commands[-1])
files = ["ls", "-l", f"/proc/{waiting.pid}/fd"]
wait(lambda: "socket:" in subprocess.run(files, capture_output=True, text=True).stdout)
wait(lambda: Path(f"/proc/{waiting.pid}/stat").read_text().split()[2] == "S")
"""


def test_an_interrupt_while_a_stage_waits_for_the_server_is_reported_as_by_the_stage(digits, tmp_path, shared):
    program = f"""
{WAITING}
waiting.send_signal(signal.SIGINT)
code = waiting.wait()
os.kill(server, signal.SIGCONT)  # it has the stage's standard error
print(code, "Traceback" in (said := waiting.stderr.read()), "mnist_hpc: interrupted" in said)
"""
    assert shared(program, training(digits, tmp_path)) == ["130", "False", "True"]


def test_a_stage_that_is_killed_while_it_waits_takes_no_other_with_it(digits, tmp_path, shared):
    program = f"""
process = stage(commands[0])
begun(process)
trains = worker()
{WAITING}
waiting.kill()
waiting.wait()
os.kill(server, signal.SIGCONT)
waiting.stderr.read()  # until what the server has forked for it has ended
wait(lambda: len(children(server)) < 2)
print(children(server) == [trains], stopped(process))
"""
    assert shared(program, training(digits, tmp_path, steps=LONG)) == ["True", "75"]


def test_a_stage_whose_standard_error_is_closed_does_its_work(digits, tmp_path, shared):
    program = """
command = ["sh", "-c", '"$@" 2>&-', "sh", *commands[0]]
done = subprocess.run(command, stdout=subprocess.PIPE, text=True)  # its progress goes to standard output
print(done.returncode, "step 60 of 60" in done.stdout)
"""
    assert shared(program, training(digits, tmp_path)) == ["0", "True"]


@pytest.mark.parametrize("folder", ["not/there", "long/" + 12 * "temporary-"])
def test_no_folder_for_temporary_files_is_needed(digits, tmp_path, preloaded, folder):
    if folder.startswith("long"):
        (tmp_path / folder).mkdir(parents=True)
    program = """
process = stage(commands[0])
begun(process)
print(uses_tensorflow(process.pid), stopped(process))
"""
    process = preloaded(TMPDIR=str(tmp_path / folder))
    assert ran(process, program, training(digits, tmp_path, steps=LONG)) == ["False", "75"]


def test_a_command_that_ends_at_once_leaves_no_server_that_still_imports(tmp_path):
    program = "import os, pathlib; print(pathlib.Path(f'/proc/{os.getpid()}/task/{os.getpid()}/children').read_text())"
    command = [*STAGE, "preload", sys.executable, "-c", program]
    server = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.strip()
    assert gone(server)
    assert not list(tmp_path.iterdir())


def test_a_stage_with_another_environment_does_its_work_itself(digits, tmp_path, shared):
    program = """
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
process = stage(commands[0])
begun(process)
print(uses_tensorflow(process.pid), children(server), stopped(process))
"""
    assert shared(program, training(digits, tmp_path, steps=LONG)) == ["True", "[]", "75"]


def test_a_command_that_is_not_there_is_an_error():
    result = subprocess.run([*STAGE, "preload", "no-such-command"], capture_output=True, text=True, check=False)
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert "no-such-command" in result.stderr
