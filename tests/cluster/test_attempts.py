"""The record of attempts: when a further attempt can succeed, and when it cannot."""

import contextlib
import os
import platform

import pytest

from mnist_hpc.cluster import attempts
from mnist_hpc.errors import Interrupted, NoGpuError, UserError
from mnist_hpc.study.layout import Block

LONG_AGO = "2000-01-01T00:00:00+00:00"


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    return tmp_path / Block("mnist", "cnn", 0, 4).record


def attempt(record, error=None, mem_mb=100):
    """Record an attempt that ends with this error, or well."""
    with contextlib.suppress(type(error)), attempts.recorded(record, "train", mem_mb):
        if error:
            raise error


def killed(record, mem_mb=100):
    """Record an attempt whose process was killed: nothing tells how it ended."""
    attempt(record, mem_mb=mem_mb)
    entries = attempts.read(record)
    entries[-1]["end"] = None
    attempts._write(record, entries)


def hopeless(record, attempted=1, since=LONG_AGO, state="FAILED"):
    return attempts.hopeless(record, attempted, since, "7", state)


def test_an_attempt_is_recorded_while_it_runs_and_when_it_ended(record):
    with attempts.recorded(record, "train", 100):
        (running,) = attempts.read(record)
        assert (running["job"], running["end"]) == ("7", None)
    attempt(record, UserError("no GPU"))
    attempt(record, Interrupted("step 5"))
    assert [entry["end"] for entry in attempts.read(record)] == ["ok", "error", "interrupted"]


def test_a_known_error_ends_the_attempts_at_once(record):
    attempt(record, UserError("no GPU"))
    assert hopeless(record) == "no GPU"


def test_a_missing_gpu_is_given_another_node_once(record):
    attempt(record, NoGpuError("no GPU on a"))
    assert attempts.last(record, "7")["end"] == attempts.NO_GPU
    assert attempts.last(record, "8") is None
    assert hopeless(record) is None
    attempt(record, NoGpuError("no GPU on b"))
    assert "no GPU on b" in hopeless(record, attempted=2)


def test_memory_that_the_site_decides_on_is_not_doubled(record):
    killed(record, mem_mb=0)
    assert "mem_mb=0 leaves the memory to the site" in hopeless(record, state="OUT_OF_MEMORY")
    assert attempts.memory(record, 0) == 0


def test_an_unknown_error_ends_them_when_it_comes_again(record):
    attempt(record, OSError("stale file handle"))
    assert hopeless(record) is None
    attempt(record, OSError("stale file handle"))
    assert "the same error twice: stale file handle" in hopeless(record, attempted=2)
    attempt(record, OSError("disk full"))
    assert hopeless(record, attempted=3) is None


def test_time_windows_do_not_end_them_while_there_is_progress(record):
    for step in range(30):
        attempt(record, Interrupted(f"step {step}"))
        assert hopeless(record, attempted=step + 1) is None
    attempt(record, Interrupted("step 29"))
    assert "raise the variant's runtime" in hopeless(record, attempted=31)


def test_memory_grows_only_after_it_was_too_little(record):
    assert attempts.memory(record, 100) == 100
    killed(record)
    assert hopeless(record, state="CANCELLED") is None
    assert attempts.memory(record, 100) == 100
    killed(record)
    assert hopeless(record, attempted=2, state="OUT_OF_MEMORY") is None
    assert attempts.memory(record, 100) == 200
    assert attempts.memory(record, 1000) == 1000
    killed(record, mem_mb=200)
    assert hopeless(record, attempted=3, state="OUT_OF_MEMORY") is None
    assert attempts.memory(record, 100) == 400
    killed(record, mem_mb=200)  # as where a site decides on the memory
    assert "raise the variant's mem_mb" in hopeless(record, attempted=4, state="OUT_OF_MEMORY")


def test_jobs_that_end_before_the_program_begins_are_not_repeated_without_end(record):
    assert hopeless(record) is None
    assert "before the program began" in hopeless(record, attempted=2)


@pytest.mark.parametrize(("state", "reason"), [("FAILED", "was killed twice"), ("TIMEOUT", "raise the variant's")])
def test_programs_that_are_killed_again_without_progress_end_them(record, state, reason):
    killed(record)
    assert hopeless(record, state=state) is None
    killed(record)
    saved = record.parent / "identity/cpu/seed-0.h5"
    saved.parent.mkdir(parents=True)
    saved.touch()
    assert hopeless(record, attempted=2, state=state) is None
    os.utime(saved, (0, 0))
    assert reason in hopeless(record, attempted=2, state=state)


@pytest.mark.parametrize("state", ["NODE_FAIL", "CANCELLED"])
def test_what_is_no_fault_of_the_program_does_not_end_them(record, state):
    for attempted in (1, 2, 3):
        killed(record)
        assert hopeless(record, attempted=attempted, state=state) is None


def test_errors_of_an_earlier_run_do_not_count(record):
    attempt(record, UserError("no GPU"))
    assert hopeless(record, since="2999-01-01T00:00:00+00:00") is None


def test_a_damaged_record_is_none(record):
    record.parent.mkdir(parents=True)
    record.write_text("{")
    assert attempts.read(record) == []
    attempt(record, UserError("no GPU"))
    assert len(attempts.read(record)) == 1


def test_only_errors_of_last_attempts_are_listed_with_their_place(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    works = [Block("mnist", name, 0, 4) for name in ("wrong", "fixed", "interrupted", "untried")]
    wrong, fixed, interrupted, _ = (tmp_path / work.record for work in works)
    for path in (wrong, fixed):
        attempt(path, UserError("no room"))
    attempt(fixed)
    attempt(interrupted, Interrupted())
    assert attempts.errors(works, tmp_path) == [f"mnist wrong seeds 0 to 4: no room ({platform.node()}, job 7)"]
