"""Processes share the GPUs of a machine: real processes with real locks; GPUs are only their names here."""

import os
import signal
import subprocess
import sys

import pytest

from mnist_hpc.training import gpu_slots

PROGRAM = """
import os, signal
from mnist_hpc.training import gpu_slots
gpu_slots.take()
print(os.environ.get("CUDA_VISIBLE_DEVICES", "not set"), flush=True)
signal.pause()
"""


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a process which takes a slot, and returns the process and what it then sees."""
    started = []

    def begin(visible: str | None, **environment: str) -> tuple[subprocess.Popen, str]:
        variables = {**os.environ, "TMPDIR": str(tmp_path), "SLURM_JOB_ID": "7", **environment}
        variables.pop("CUDA_VISIBLE_DEVICES", None)
        if visible is not None:
            variables["CUDA_VISIBLE_DEVICES"] = visible
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_processes_fill_the_gpus_evenly(start):
    seen = [start("0,1,2,3")[1] for _ in range(6)]
    assert seen == ["0", "1", "2", "3", "0", "1"]


def test_a_slot_is_free_again_when_its_process_was_killed(start):
    (_, first), (second, _), (_, third) = (start("4,5,6") for _ in range(3))
    assert (first, third) == ("4", "6")
    second.send_signal(signal.SIGKILL)
    second.wait()
    assert start("4,5,6")[1] == "5"


@pytest.mark.parametrize(
    "visible", ["GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,GPU-3a1", "MIG-GPU-8932f937/1/0,MIG-GPU-8932f937/2/0"]
)
def test_entries_are_kept_as_they_are_and_reported(start, visible):
    entries = visible.split(",")
    process, seen = start(visible)
    assert seen == entries[0]
    assert start(visible)[1] == entries[1]
    process.kill()
    assert process.communicate()[1].strip() == f"GPU {entries[0]} of {visible}, slot 0"


@pytest.mark.parametrize("visible", ["2", "", "-1", "3,-1,4", "NoDevFiles"])
def test_one_visible_gpu_or_none_is_left_alone(start, visible):
    assert [start(visible)[1] for _ in range(2)] == [visible, visible]


def test_jobs_on_one_node_do_not_count_each_other(start):
    assert [start("0,1", SLURM_JOB_ID=job)[1] for job in ("7", "8")] == ["0", "0"]


def test_without_a_place_for_locks_nothing_is_narrowed(start, tmp_path):
    (tmp_path / f"mnist-hpc-{os.getuid()}-7").write_text("in the way")
    assert start("0,1")[1] == "0,1"


def test_where_nothing_is_said_the_devices_of_the_machine_are_counted(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpu_slots, "DEVICES", tmp_path)
    assert gpu_slots.visible() == []
    for name in ("nvidia2", "nvidia5", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpu_slots.visible() == ["0", "1"]
