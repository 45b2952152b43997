"""What is asked of Slurm and read from its answers, ``cluster/slurm.py``, without a Slurm."""

import pytest

from mnist_hpc.cluster import slurm
from mnist_hpc.cluster.request import Request, gpus_in
from mnist_hpc.errors import UserError


def test_a_request_is_that_of_the_jobs_resources():
    resources = {"slurm_account": "a1", "slurm_partition": "gpu", "runtime": 30, "mem_mb": 4000, "qos": ""}
    request = Request.of(resources | {"slurm_extra": "--gpus-per-node=v100-32:2 --comment='two words'"}, threads=4)
    assert request.arguments == [
        *("--time=30", "--mem=4000", "--cpus-per-task=4", "--account=a1", "--partition=gpu"),
        *("--gpus-per-node=v100-32:2", "--comment=two words"),
    ]
    assert request.gpus == 2
    assert request.option("partition") == "gpu"
    assert request.option("qos") == ""
    assert Request.of(resources | {"qos": "a"}, 4, {"qos": "b", "reservation": None}).option("qos") == "b"


@pytest.mark.parametrize(
    ("resources", "gpus"),
    [
        ({"gpu": 2}, {"": 2}),
        ({"gpu": 2, "gpu_model": "a100"}, {"a100": 2}),
        ({"gpu_model": "a100"}, {"a100": 1}),
        ({"gres": "gpu:3"}, {"": 3}),
        ({"slurm_extra": "--gres=gpu:a100:2,nvme:1"}, {"a100": 2}),
        ({"slurm_extra": "--gpus=v100:1,a100:2"}, {"v100": 1, "a100": 2}),
        ({"slurm_extra": "--gpus-per-node=1g.5gb:1"}, {"1g.5gb": 1}),
        ({"slurm_extra": "--gpus-per-task=2", "tasks": 3}, {"": 6}),
        ({"slurm_extra": "--gpus-per-node=4", "nodes": 2}, {"": 8}),
        ({"slurm_extra": "--gres=nvme:1 -t 1"}, {}),
    ],
)
def test_gpus_are_counted_by_type_however_they_are_asked_for(resources, gpus):
    request = Request.of(resources, 1)
    assert request.gpus_by_type == gpus
    assert request.gpus == sum(gpus.values())


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("gpu:a100:4(S:0,1),nvme:1", {"a100": 4}),
        ("gpu:v100-32:2,gpu:h100:1", {"v100-32": 2, "h100": 1}),
        ("(null)", {}),
        ("billing=1,cpu=1,gres/gpu:v100=1,mem=4G", {"v100": 1}),
        ("cpu=1,gres/gpu=2,gres/gpu:v100=2", {"": 2, "v100": 2}),
    ],
)
def test_lists_of_resources_have_gpus(text, gpus):
    assert gpus_in(text) == gpus


def test_a_command_that_fails_or_is_missing_is_an_error_on_one_line():
    assert slurm.ask("echo", "hello") == "hello"
    with pytest.raises(UserError, match="nosuchcommand not found; run this on a login node"):
        slurm.ask("nosuchcommand")
    with pytest.raises(UserError, match=r"\Afirst; the last line\Z"):
        slurm.ask("sh", "-c", "echo first; echo 'sbatch: error: the last line'; exit 1")
    with pytest.raises(UserError, match=r"sleep gave no answer in 0\.1 s"):
        slurm.ask("sleep", "5", timeout=0.1)
    with pytest.raises(UserError, match=r"\A/: .*Permission denied"):  # as any failure to start a process
        slurm.ask("/")
    with pytest.raises(UserError, match=r"\Aprintf: .*can't decode"):
        slurm.ask("printf", r"\377")


def test_an_open_quote_in_a_request_is_an_error_that_shows_it():
    with pytest.raises(UserError, match=r"slurm_extra: found '--gpus=1, in which a quote is not closed"):
        Request.of({"slurm_extra": "'--gpus=1"}, 1)


def test_the_name_of_a_cluster_is_not_a_job(tmp_path, monkeypatch):
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho 'CLUSTER: bridges'\necho '7|RUNNING|n1|None|/a|b|c'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert slurm.queue() == {"7": slurm.Job("7", "RUNNING", "None", "n1", "b|c", "/a")}


@pytest.mark.parametrize(
    "said",
    [
        "slurmstepd-n1: error: Detected 1 oom-kill event(s) in StepId=1.0. Some of your processes may have been killed "
        "by the cgroup out-of-memory handler.",
        "slurmstepd: error: Detected 1 oom_kill event in StepId=28.batch. Some of the step tasks have been OOM Killed.",
        "slurmstepd: error: StepId=8.0 exceeded memory limit (527306752 > 262144000), being killed",
    ],
)
def test_the_log_of_a_job_tells_that_its_memory_was_too_little(tmp_path, said):
    log = tmp_path / "7.log"
    assert not slurm.out_of_memory(log)
    log.write_text("Building DAG of jobs...\nsrun: error: n1: task 0: Exited with exit code 1\n")
    assert not slurm.out_of_memory(log)
    log.write_text(f"Building DAG of jobs...\n{said}\nsrun: error: n1: task 0: Killed\n")
    assert slurm.out_of_memory(log)
