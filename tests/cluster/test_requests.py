"""What is asked of Slurm and read from its answers, ``cluster/slurm.py``, without a Slurm."""

import pytest

from mnist_hpc.cluster import partitions, slurm
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30:00", 30), ("1:30:00", 90), ("2-00:00:00", 2880), ("infinite", None), ("", None), ("n/a", None)],
)
def test_limits_of_slurm_are_minutes(text, minutes):
    assert partitions.minutes(text) == minutes


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


@pytest.mark.parametrize(
    ("option", "gpus"),
    [
        ("--gpus-per-node=1", 1),
        ("--gres=gpu:4", 4),
        ("--gres=gpu:a100:2", 2),
        ("--gpus-per-node=h100:8", 8),
        ("-t 1", 0),
    ],
)
def test_gpus_are_counted_however_they_are_asked_for(option, gpus):
    assert Request(10, 0, 1, (option,)).gpus == gpus


def test_a_command_that_fails_or_is_missing_is_an_error_on_one_line():
    assert slurm.ask("echo", "hello") == "hello"
    with pytest.raises(UserError, match="nosuchcommand not found; run this on a login node"):
        slurm.ask("nosuchcommand")
    with pytest.raises(UserError, match=r"\Afirst; the last line\Z"):
        slurm.ask("sh", "-c", "echo first; echo 'sbatch: error: the last line'; exit 1")
    with pytest.raises(UserError, match=r"sleep gave no answer in 0\.1 s"):
        slurm.ask("sleep", "5", timeout=0.1)


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
