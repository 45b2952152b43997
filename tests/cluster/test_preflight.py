"""What jobs will cost, from the times of earlier runs."""

import pytest

from mnist_hpc.cluster import main_process, preflight, slurm
from mnist_hpc.cluster.request import Request
from mnist_hpc.cluster.verdict import Verdict
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import Block

BLOCK = Block("digits", "a", 0, 4)
REQUEST = Request(30, 4000, 1, ("--partition=gpu", "--gpus-per-node=1"))


@pytest.fixture
def results(tmp_path):
    """Return a folder of results with recorded times of 10 and 20 s per seed for one variant."""
    path = tmp_path / "digits/runs/a/seeds-5-9/metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text("seed,train_seconds\n5,10\n6,20\n7,\n")
    return tmp_path


@pytest.fixture(autouse=True)
def queue(monkeypatch):
    """Replace Slurm by one that accepts everything and has the jobs of a list."""
    jobs = {}
    monkeypatch.setattr(main_process, "jobs_of", lambda _: jobs)
    monkeypatch.setattr(preflight, "examine", lambda *_: Verdict())
    return jobs


def test_jobs_are_counted_with_their_cost(results):
    planned = [(REQUEST, BLOCK), (REQUEST, Block("digits", "b", 0, 4))]
    first, cost = preflight.check(planned, results, results).splitlines()
    assert first.startswith("2 jobs: --time=30 ")
    assert cost.startswith("At most 1.0 GPU-hours")
    assert "expected 0.021, from the recorded times of 1 of 2 jobs" in cost


def test_work_that_a_job_does_already_is_not_submitted_again(results, queue):
    queue[slurm.Job("7", "RUNNING", nodes="n1")] = BLOCK
    assert preflight.check([(REQUEST, Block("digits", "b", 0, 4))], results, results)
    with pytest.raises(UserError, match=r"such as job 7 \(running, n1\)"):
        preflight.check([(REQUEST, BLOCK)], results, results)


def test_a_request_that_slurm_refuses_is_told(results, monkeypatch):
    monkeypatch.setattr(preflight, "examine", lambda *_: Verdict("no such partition"))
    with pytest.raises(UserError, match="no such partition"):
        preflight.check([(REQUEST, BLOCK)], results, results)
