"""Where the main process runs, from its file, on a machine without Slurm."""

import json
import os
import platform
import subprocess
import sys
import time

import pytest

from mnist_hpc.cluster import main_process, queue_text


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder in which a main process on another host is recorded; its time stamp is now."""
    monkeypatch.setenv("PATH", str(tmp_path))
    write(tmp_path)
    return tmp_path


def write(folder, **changes):
    path = folder / main_process.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"host": "login2", "process": 123, "run": "a", "job": "", "works": {}} | changes))
    return path


def test_a_main_process_on_another_login_node_is_not_lost(folder):
    path = write(folder)
    os.utime(path, (time.time() - 40,) * 2)
    (line,) = queue_text.lines(folder, locked=True)
    assert line.startswith("The workflow is running: process 123 on login2, last heard of 4")


def test_a_main_process_that_is_silent_for_long_is_lost(folder):
    os.utime(write(folder), (0, 0))
    (line,) = queue_text.lines(folder, locked=True)
    assert line == "The main process (process 123 on login2) is lost; `make resume PROFILE=…` continues its work."
    assert queue_text.lines(folder, locked=False) == []  # nothing is left of it


def test_a_process_of_this_host_is_looked_for_here(folder):
    script = folder / "snakemake"
    script.write_text("import sys\nprint(flush=True)\nsys.stdin.read()\n")
    with subprocess.Popen(
        [sys.executable, script], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        write(folder, host=platform.node(), process=process.pid)
        assert queue_text.lines(folder, locked=True) == [
            f"The workflow is running: process {process.pid} on this host."
        ]
        process.kill()
    assert "is lost" in queue_text.lines(folder, locked=True)[0]


def test_without_a_record_only_locks_are_reported(folder):
    (folder / main_process.FILE).unlink()
    assert queue_text.lines(folder, locked=False) == []
    (line,) = queue_text.lines(folder, locked=True)
    assert "run snakemake --unlock and start the workflow again" in line


def test_slurm_that_does_not_answer_is_one_line(folder):
    squeue = folder / "squeue"
    squeue.write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller' >&2\nexit 1\n")
    squeue.chmod(0o755)
    where, away = queue_text.lines(folder, locked=True)
    assert "process 123 on login2" in where
    assert away.startswith("Slurm does not answer, so what is in the queue is not known: ")
