"""The executor plugin between Snakemake and a Slurm that gives no answers, or wrong ones, for a long time."""

import asyncio
import logging
import threading
from types import SimpleNamespace

import pytest
import snakemake_executor_plugin_slurm as base
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from mnist_hpc.cluster import pause
from mnist_hpc.plugins import executor

LOST = "sbatch failed: 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation'"
SCRIPT = "snakemake --target-jobs train:dataset=digits,variant=regression,first=0,last=0"


@pytest.fixture(autouse=True)
def slurm(tmp_path, monkeypatch):
    """Return the commands of Slurm, as a mapping from a name to the lines of a shell script."""

    class Commands(dict):
        def __setitem__(self, name, script):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.chdir(tmp_path)
    return Commands()


@pytest.fixture
def running(monkeypatch):
    """Return an executor in the middle of a run, with the outcomes that Snakemake is told."""
    monkeypatch.setattr(base.Executor, "__init__", lambda _: None)
    monkeypatch.setattr(executor.preflight, "check", lambda *_: "")
    monkeypatch.setattr(executor.main_process, "known_works", dict)
    monkeypatch.setattr(base.Executor, "__post_init__", lambda *_: None)
    found = executor.Executor()
    found.told, found.run_uuid, found.logger = [], "mnist_run", logging.getLogger("test")
    found.active_jobs, found.lock, found._failed_nodes = [], threading.Lock(), set()
    told = {f"{what}_callback": lambda _, what=what: found.told.append(what) for what in ("submit", "finish", "error")}
    settings = SimpleNamespace(array_jobs="", no_check=True)
    found.workflow = SimpleNamespace(scheduler=SimpleNamespace(**told), executor_settings=settings)
    found.__post_init__()
    return found


@pytest.fixture
def job():
    wildcards = {"dataset": "digits", "variant": "regression", "first": "0", "last": "0"}

    class Job:
        attempt, restart_times, log = 1, 20, ()

    found = Job()
    found.is_group, found.wildcards = lambda: False, wildcards
    return found


def watched(running, jobs):
    """Return those jobs that have not ended after one look at them."""

    async def look():
        return [info async for info in running.check_active_jobs(jobs)]

    return asyncio.run(look())


def test_a_job_is_not_submitted_twice_if_answers_are_lost(slurm, running, job, tmp_path, monkeypatch):
    """That of sbatch is, and squeue gives none for a while."""
    jobs, away = tmp_path / "jobs", tmp_path / "away"
    slurm["squeue"] = f"[ -e {away} ] && exit 1\n cat {jobs}"
    slurm["scontrol"] = f"echo '{SCRIPT}'"
    slurm["scancel"] = f": >{jobs}"
    submitted, tries = [], []

    def submit(self, job):
        submitted.append(jobs.exists() and jobs.read_text())
        if len(submitted) == 1:
            jobs.write_text("200|RUNNING|n1|None|/a|mnist_run\n")
            away.touch()
            self.report_job_error(SubmittedJobInfo(job), msg=LOST)

    def wait(_):
        tries.append(None)
        if len(tries) == 4:
            away.unlink()
        return len(tries) < 9

    monkeypatch.setattr(base.Executor, "run_job", submit)
    monkeypatch.setattr(pause.Pause, "wait", wait)
    running.run_job(job)
    assert submitted == [False, ""]  # the second time, the first job is gone
    assert running.told == []


@pytest.mark.parametrize("accounting", ["", "7|RUNNING|n1", "7|PENDING|"])
def test_a_job_that_is_not_in_the_queue_is_not_waited_for_without_end(slurm, running, job, monkeypatch, accounting):
    """Accounting may never learn that a job has ended."""
    slurm["squeue"], slurm["sacct"] = "", f"echo '{accounting}'" if accounting else ""
    clock = [0.0]
    monkeypatch.setattr(executor.time, "monotonic", lambda: clock[0])
    jobs = [SubmittedJobInfo(job, "7", {})]

    for clock[0] in (0.0, 300.0):
        assert watched(running, jobs) == jobs
    clock[0] = 700.0
    assert watched(running, jobs) == []
    assert running.told == ["finish"]


def test_a_slurm_whose_commands_cannot_be_started_is_asked_again(running, job, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # not those of this machine
    for name in ("squeue", "sacct"):
        (tmp_path / name).mkdir()  # as any failure to start a process
    jobs = [SubmittedJobInfo(job, "7", {})]

    assert watched(running, jobs) == jobs
    assert running.told == []


def test_timers_of_the_scheduler_do_not_pile_up(slurm, running, job):
    slurm["squeue"] = "echo '7|RUNNING|n1|None|/a|mnist_run'"
    timers = [threading.Timer(60, lambda: None) for _ in range(5)]
    for timer in timers:
        timer.start()

    watched(running, [SubmittedJobInfo(job, "7", {})])
    assert sum(not timer.finished.is_set() for timer in timers) == 1
    for timer in timers:
        timer.cancel()
