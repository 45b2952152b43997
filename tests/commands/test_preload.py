"""Trainings that are forked from a process with TensorFlow: the same results, exit codes, messages, and ends."""

import json
import os
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


def training(digits, folder, *options, **changes):
    """Return the command of a training of two seeds into a folder."""
    paths = ("--models", folder / "models.h5", "--history", folder / "history.csv", "--state", folder / "state")
    keys = json.dumps(specification(**changes))
    given = ("--data", digits / "train.h5", "--variant", "a", "--seeds", "0-1", "--specification", keys, *paths)
    return [*STAGE, "train", *map(str, (*given, *options))]


@pytest.fixture
def preloaded(tmp_path):
    """Return a function that starts a command with a server, and waits until that serves; all ends with the test.

    The command is a Python program, in which ``stage(*words)`` starts a stage, and ``server`` is the server's number.
    """
    started = []

    def start(program, **environment):
        (tmp_path / "program.py").write_text(PRELUDE + program)
        command = [*STAGE, "preload", sys.executable, tmp_path / "program.py"]
        environment = {**os.environ, "TMPDIR": str(tmp_path), **environment}
        started.append(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


PRELUDE = '''
import json, os, signal, subprocess, sys, time
from pathlib import Path

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background process of a shell ignores

def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

(server,) = children(os.getpid())

def wait(condition):
    while not condition():
        time.sleep(0.05)

def uses_tensorflow(pid):
    return "tensorflow" in Path(f"/proc/{pid}/maps").read_text()

wait(lambda: "_pywrap_tensorflow" in Path(f"/proc/{server}/maps").read_text())

def stage(words):
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)

def worker():
    wait(lambda: children(server))
    return children(server)[0]

def begun(process):
    """Wait for a line of progress."""
    for line in process.stderr:
        if ": step" in line:
            return

commands = json.loads(sys.stdin.readline())
'''


def ran(process, *commands, code=0):
    """Give the program its commands; return what it writes."""
    output, errors = process.communicate(json.dumps(commands) + "\n", timeout=120)
    assert process.returncode == code, errors
    return output.split()


def gone(pid):
    """Return whether a process has ended; wait a little for that."""
    for _ in range(200):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def test_a_forked_training_gives_what_one_of_its_own_gives_and_leaves_nothing_behind(digits, tmp_path, preloaded):
    for name in ("own", "forked"):
        (tmp_path / name).mkdir()
    subprocess.run(training(digits, tmp_path / "own"), check=True, capture_output=True)
    program = """
process = stage(commands[0])
begun(process)
print(server, uses_tensorflow(process.pid), uses_tensorflow(worker()), len(os.listdir(f"/proc/{server}/task")))
process.stderr.read()
print(process.wait())
"""
    server, itself, forked, threads, code = ran(preloaded(program), training(digits, tmp_path / "forked", steps=2000))
    assert (itself, forked, threads, code) == ("False", "True", "1", "0")
    program = "print(stage(commands[0]).wait())"
    assert ran(preloaded(program), training(digits, tmp_path / "forked")) == ["0"]
    (_, own), (_, other) = (read_models(tmp_path / name / "models.h5") for name in ("own", "forked"))
    for seed, model in own.items():
        assert all((weight == other[seed].weights[name]).all() for name, weight in model.weights.items())
    histories = [without_times(csv_table.read(tmp_path / name / "history.csv")) for name in ("own", "forked")]
    assert histories[0] == histories[1]
    assert gone(server)
    assert not list(tmp_path.glob("mnist-hpc-*"))


def test_errors_and_exit_codes_are_those_of_the_stage(digits, tmp_path, preloaded):
    program = """
for command in commands:
    process = stage(command)
    print(process.wait(), "Traceback" in (said := process.stderr.read()), "mnist_hpc: error:" in said)
"""
    lacking = training(tmp_path, tmp_path)
    wrong = [*training(digits, tmp_path), "--no-such-option"]
    found = ran(preloaded(program), lacking, wrong)
    assert found == ["2", "False", "True", "2", "False", "True"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_stage_saves_the_training(digits, tmp_path, preloaded, number):
    program = f"""
process = stage(commands[0])
begun(process)
process.send_signal({int(number)})
print(process.wait(), "continue" in process.stderr.read())
again = stage(commands[0])
print(any("continues at step" in line for line in again.stderr))
again.kill()
"""
    found = ran(preloaded(program), training(digits, tmp_path, steps=30_000))
    assert found == ["75", "True", "True"]


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
    stage, server, worker, *code_of_stage = ran(
        preloaded(program), training(digits, tmp_path, steps=400_000), code=code
    )
    assert gone(worker)
    assert gone(server)
    assert gone(stage)
    assert code_of_stage in ([], [str(-signal.SIGKILL)])
    if whom == "os.getpid()":  # asked to save, as nobody will wait for it
        assert list(tmp_path.glob("state/**/seed-0.h5"))


def test_a_hang_up_that_the_stage_ignores_does_not_end_its_training(digits, tmp_path, preloaded):
    program = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as by nohup
process = stage(commands[0])
begun(process)
process.send_signal(signal.SIGHUP)
process.stderr.read()
print(process.wait())
"""
    assert ran(preloaded(program), training(digits, tmp_path, steps=3000)) == ["0"]


WAITING = """
import atexit

os.kill(server, signal.SIGSTOP)
atexit.register(os.kill, server, signal.SIGCONT)
waiting = stage(commands[-1])
files = ["ls", "-l", f"/proc/{waiting.pid}/fd"]
wait(lambda: "socket:" in subprocess.run(files, capture_output=True, text=True).stdout)
wait(lambda: Path(f"/proc/{waiting.pid}/stat").read_text().split()[2] == "S")
"""


def test_an_interrupt_while_a_stage_waits_for_the_server_is_reported_as_by_the_stage(digits, tmp_path, preloaded):
    program = f"""
{WAITING}
waiting.send_signal(signal.SIGINT)
code = waiting.wait()
os.kill(server, signal.SIGCONT)  # it has the stage's standard error
print(code, "Traceback" in (said := waiting.stderr.read()), "mnist_hpc: interrupted" in said)
"""
    assert ran(preloaded(program), training(digits, tmp_path)) == ["130", "False", "True"]


def test_a_stage_that_is_killed_while_it_waits_takes_no_other_with_it(digits, tmp_path, preloaded):
    program = f"""
process = stage(commands[0])
begun(process)
{WAITING}
waiting.kill()
waiting.wait()
os.kill(server, signal.SIGCONT)
process.stderr.read()
print(process.wait())
"""
    assert ran(preloaded(program), training(digits, tmp_path, steps=3000)) == ["0"]


def test_a_stage_whose_standard_error_is_closed_does_its_work(digits, tmp_path, preloaded):
    program = """
print(subprocess.run(["sh", "-c", '"$@" 2>&-', "sh", *commands[0]]).returncode)
"""
    *_, code = ran(preloaded(program), training(digits, tmp_path))  # its progress goes to standard output
    assert code == "0"


@pytest.mark.parametrize("folder", ["not/there", "long/" + 12 * "temporary-"])
def test_no_folder_for_temporary_files_is_needed(digits, tmp_path, preloaded, folder):
    if folder.startswith("long"):
        (tmp_path / folder).mkdir(parents=True)
    program = """
process = stage(commands[0])
begun(process)
print(uses_tensorflow(process.pid))
process.stderr.read()
print(process.wait())
"""
    process = preloaded(program, TMPDIR=str(tmp_path / folder))
    assert ran(process, training(digits, tmp_path, steps=2000)) == ["False", "0"]


def test_a_command_that_ends_at_once_leaves_no_server_that_still_imports(tmp_path):
    program = "import os, pathlib; print(pathlib.Path(f'/proc/{os.getpid()}/task/{os.getpid()}/children').read_text())"
    command = [*STAGE, "preload", sys.executable, "-c", program]
    server = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.strip()
    assert gone(server)
    assert not list(tmp_path.iterdir())


def test_a_stage_with_another_environment_does_its_work_itself(digits, tmp_path, preloaded):
    program = """
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
process = stage(commands[0])
begun(process)
print(uses_tensorflow(process.pid), children(server))
process.stderr.read()
print(process.wait())
"""
    assert ran(preloaded(program), training(digits, tmp_path, steps=2000)) == ["True", "[]", "0"]


def test_a_command_that_is_not_there_is_an_error():
    result = subprocess.run([*STAGE, "preload", "no-such-command"], capture_output=True, text=True, check=False)
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert "no-such-command" in result.stderr
