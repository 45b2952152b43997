"""What the job of ``make node`` requests, from what a profile says of a job with one GPU."""

import json
import math
import shutil
import subprocess

import pytest
import yaml

from conftest import ROOT
from mnist_hpc.cluster import attempts, node, times
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.request import Request
from mnist_hpc.study.layout import Block, Part
from mnist_hpc.study.specification import Study

SITES = ["slurm", "bridges2", "delta", "perlmutter", "vista", "anvil"]


@pytest.fixture(scope="module")
def study():
    return Study.read(ROOT / "config.yaml")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--gpus-per-node=1", "--gpus-per-node=4"),
        ("--gpus-per-node=v100-32:1", "--gpus-per-node=v100-32:4"),
        ("--gpus-per-node a100:1", "--gpus-per-node=a100:4"),
        ("--gpus=1", "--gpus-per-node=4"),
        ("-G 1", "--gpus-per-node=4"),
        ("-Gh100-80:1", "--gpus-per-node=h100-80:4"),
        ("--gpus-per-task=a100:1", "--gpus-per-node=a100:4"),
        ("--gres=gpu", "--gres=gpu:4"),
        ("--gres=gpu:1", "--gres=gpu:4"),
        ("--gres gpu:v100-32", "--gres=gpu:v100-32:4"),
        ("--gres=gpu:4g.20gb:1", "--gres=gpu:4g.20gb:4"),
        ("--gres=nvme:100,gpu:a100:1", "--gres=nvme:100,gpu:a100:4"),
        ("--tres-per-node=gres/gpu:a100:1", "--tres-per-node=gres/gpu:a100:4"),
        ("-p gpu -w n1 --exclusive", "--partition=gpu -wn1 --exclusive"),
    ],
)
def test_the_number_of_gpus_is_replaced_however_they_are_asked_for(given, expected):
    assert node.with_gpus(node.long_options(given.split()), 4) == expected.split()


@pytest.mark.parametrize("site", SITES)
def test_the_request_of_each_site_is_one_node_with_its_own_signal(site, study):
    profile = Profile(ROOT / "profiles" / site)
    request = node.request(profile, study, gpus=4, slots=2, minutes=60)
    (one,) = {found.option("account") for found in profile.requests(study)}
    assert request.option("account") == one
    assert request.gpus == (0 if site == "vista" else 4)
    arguments = request.arguments
    assert [text for text in arguments if text.startswith("--signal")] == ["--signal=B:USR1@180"]
    for option in ("--nodes=1", "--ntasks=1", "--requeue", "--open-mode=append", "--job-name=mnist_node", "--time=60"):
        assert arguments.count(option) == 1
    assert len({text.partition("=")[0] for text in arguments}) == len(arguments)


def test_cpus_and_memory_are_those_of_all_slots_unless_the_profile_has_its_own(study):
    def sizes(site):
        request = node.request(Profile(ROOT / "profiles" / site), study, gpus=4, slots=2, minutes=60)
        return request.cpus, request.mem_mb

    # Two threads and 4,000 MB are the largest of the study; variants without a GPU need memory too.
    assert sizes("slurm") == (2 * 8, 9 * 8000)
    assert sizes("bridges2") == (2 * 8, 0)  # its GPUs come with memory
    assert sizes("perlmutter")[0] == 32 * 4  # a GPU comes with CPUs
    assert sizes("vista") == (0, 0)  # whole nodes


def test_a_short_job_is_warned_for_a_quarter_of_its_time(study):
    request = node.request(Profile(ROOT / "profiles/slurm"), study, gpus=1, slots=1, minutes=4)
    assert "--signal=B:USR1@60" in request.options


def test_the_script_is_valid_and_runs_the_sites_own_command_first(tmp_path):
    request = Request(30, 0, 2, ("--comment=two 'words'", "--gpus-per-node=1"))
    (tmp_path / "job.sh").write_text(
        node.script(request, "export WHERE=here", ["sh", "-c", 'echo $WHERE "$1"', "", "a b"])
    )
    done = subprocess.run(["bash", tmp_path / "job.sh"], capture_output=True, text=True, check=True)
    assert done.stdout == "here a b\n"


@pytest.fixture
def small(tmp_path):
    """Return a study with three works."""
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["variants"] = {name: config["variants"][name] for name in ("regression", "cnn")}
    config["variants"]["regression"]["runtime"] = 10
    config["variants"]["cnn"]["runtime"] = 600
    config["sweeps"] = {"rates": {"variant": "regression", "grid": {"l2": [0, 1]}, "runtime": 100}}
    del config["ensembles"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return Study.read(tmp_path / "config.yaml")


def test_the_time_limit_is_what_is_left_to_do_over_the_processes(small, tmp_path, monkeypatch):
    recorded = {}
    monkeypatch.setattr(times, "expected_seconds", lambda work, _: recorded.get(work))
    assert set(node.left(small, tmp_path)) == {
        Block("mnist", "regression", 0, 4),
        Block("mnist", "cnn", 0, 4),
        Part("mnist", "rates", 1, 1),
    }
    # A quarter of the limits, 2.5, 150 and 25 minutes, and 10 for the figures.
    assert node.minutes(small, tmp_path, 1, math.inf) == 188
    assert node.minutes(small, tmp_path, 2, math.inf) == 150 + 10  # the longest alone
    recorded[Block("mnist", "cnn", 0, 4)] = 3600.0
    assert node.minutes(small, tmp_path, 1, math.inf) == math.ceil(2.5 + (90 + 1) + 25 + 10)
    recorded[Block("mnist", "cnn", 0, 4)] = 1.0
    assert node.minutes(small, tmp_path, 4, math.inf) == 35  # the sweep and the figures
    assert node.minutes(small, tmp_path, 4, 15) == 15


def test_progress_is_an_interruption_elsewhere_than_before(tmp_path):
    record = tmp_path / "record.json"

    def advanced(*attempts_made):
        entries = [
            {"stage": "train", "job": "7", "host": "", "started": started, "mem_mb": 0, "end": end, "reason": reason}
            for started, end, reason in attempts_made
        ]
        record.write_text(json.dumps(entries))
        return attempts.advanced(record, "2026-01-02")

    before, first, second = ("2026-01-01", "interrupted", "step 1"), "2026-01-02", "interrupted"
    assert not advanced()
    assert not advanced(before)
    assert advanced((first, second, "step 1"))
    assert advanced(before, (first, second, "step 2"))
    assert not advanced(before, (first, second, "step 1"))
    assert not advanced(before, (first, "failed", "step 2"))


def test_an_attempt_that_ended_without_a_trace_was_killed(tmp_path):
    record = tmp_path / "record.json"
    entry = {"stage": "train", "job": "7", "host": "", "started": "", "mem_mb": 0, "end": None, "reason": ""}
    for job, end in (("8", None), ("7", "failed")):
        record.write_text(json.dumps([entry]))
        attempts.killed(record, job)
        assert attempts.read(record)[-1]["end"] == end
    shutil.rmtree(tmp_path)
    attempts.killed(record, "7")  # as a study that is done leaves no records
