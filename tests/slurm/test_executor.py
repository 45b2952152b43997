"""The executor plugin on a private Slurm that refuses, preempts, does not start or loses jobs."""

import contextlib
import getpass
import signal

import pytest
from harness import (
    BRIEF,
    MODELS,
    NEEDS_SLURM,
    SLOW,
    accounting,
    brief,
    cluster,
    edit,
    make_project,
    name,
    project,
    undisturbed,
    whole,
    workflow,
)

from conftest import snakemake

pytestmark = NEEDS_SLURM
THREE = [f"results/circle/runs/slow/seeds-{seed}-{seed}/models.h5" for seed in range(3)]


@pytest.fixture
def three_blocks(make_project):
    seeds = "seeds: 3\nseeds_per_job: 1"
    return make_project(BRIEF.replace("seeds: 2\nseeds_per_job: 2", seeds))


@contextlib.contextmanager
def limited(cluster, limit):
    """Give the user's association a limit for a while."""
    set_limit = ("sacctmgr", "-i", "modify", "user", getpass.getuser(), "set")
    cluster.run(*set_limit, limit)
    try:
        yield
    finally:
        cluster.run(*set_limit, f"{limit.partition('=')[0]}=-1")


def states(cluster, run) -> list[str]:
    """Return the states of all jobs of a run."""
    return accounting(cluster, "State", "--name", name(run))


def said(run, text) -> bool:
    return text in run.output.read_text()


def test_a_limit_on_submitted_jobs_is_waited_for_and_shown(cluster, three_blocks):
    with limited(cluster, "MaxSubmitJobs=2"), workflow(cluster, three_blocks, *THREE) as run:
        printed = run.ended()
    assert states(cluster, run) == ["COMPLETED"] * 3
    assert "Slurm accepts no job now: AssocMaxSubmitJobLimit; Batch job submission failed: Job violates" in printed
    assert "Error in" not in printed


def test_ctrl_c_ends_a_pause_and_submits_nothing_more(cluster, three_blocks):
    with limited(cluster, "MaxSubmitJobs=0"), workflow(cluster, three_blocks, *THREE, "--mnist-slurm-no-check") as run:
        cluster.wait_for(lambda: said(run, "Slurm accepts no job now"))
        run.kill(signal.SIGINT)
        run.process.wait(50)  # the pause has 60 s
        assert run.process.returncode == 1
    assert states(cluster, run) == []
    assert not (three_blocks / "logs/slurm/main.json").exists()


@pytest.mark.campaign
def test_a_controller_that_is_away_during_submission_is_waited_for(cluster, project, whole):
    with workflow(cluster, project) as run:
        cluster.wait_for(lambda: said(run, "GPU-hours"))
        cluster.kill("slurmctld")
        cluster.wait_for(lambda: said(run, "Slurm accepts no job now: Batch job submission failed: Unable to contact"))
        cluster.start_slurmctld()
        run.ended()
        whole(project)
    assert states(cluster, run) == ["COMPLETED"]


def test_a_job_whose_submission_lost_its_answer_is_not_submitted_twice(cluster, brief):
    real = cluster.run("which", "sbatch")
    sbatch = cluster.folder / "bin/sbatch"
    lost = cluster.folder / "lost"
    sbatch.write_text(
        f'#!/bin/sh\ncase "$*" in *test-only*) exec {real} "$@";; esac\n'
        f'[ -e {lost} ] && exec {real} "$@"\n{real} "$@" >{lost}\n'
        "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1\n"
    )
    sbatch.chmod(0o755)
    try:
        with workflow(cluster, brief) as run:
            printed = run.ended()
    finally:
        sbatch.unlink()
    assert "Slurm accepts no job now: Batch job submission failed: Socket timed out" in printed
    first = lost.read_text().strip()
    assert accounting(cluster, "State", "-j", first)[0].startswith("CANCELLED")
    assert sorted(state.split()[0] for state in states(cluster, run)) == ["CANCELLED", "COMPLETED"]


@pytest.mark.parametrize("kind", ["variant", "sweep"])
def test_an_error_during_submission_ends_the_job_with_its_text(cluster, make_project, kind):
    project = make_project(SLOW + "sweeps: {rates: {variant: slow, grid: {learning_rate: [0.01, 0.1]}}}\n")
    edit(project, "'--gpus-per-node=1'", "'--gpus=1'")
    target = {"variant": "runs/slow/seeds-0-1/metrics.csv", "sweep": "sweeps/rates/best.json"}[kind]
    with workflow(cluster, project, f"results/circle/{target}", "--mnist-slurm-no-check") as run:
        printed = run.ended(1)
    what = {"variant": "circle slow seeds 0 to 1", "sweep": "circle sweep rates part 1 of 1"}[kind]
    assert f"{what}: not submitted: " in printed
    assert "option is not allowed in the 'slurm_extra' parameter" in printed
    assert states(cluster, run) == []


def test_what_slurm_will_never_accept_ends_at_once_in_its_words(cluster, project):
    edit(project, "GPU-shared", "nowhere")
    with workflow(cluster, project, "--mnist-slurm-no-check") as run:
        printed = run.ended(1)
    assert "circle slow seeds 0 to 1: not submitted: invalid partition specified: nowhere; Batch job" in printed
    assert "Trying to restart" not in printed


def test_a_preempted_job_that_slurm_does_not_requeue_is_submitted_again(cluster, project, whole):
    edit(project, "GPU-shared", "cancel")
    with workflow(cluster, project) as run:
        first = run.training()
        urgent = ("-pGPU-shared", "-N2", "--exclusive", "-o/dev/null", "--wrap=sleep 5")
        cluster.run("sbatch", "--parsable", *urgent)
        printed = run.ended()
        slow = whole(project)
    assert f"job {first} was preempted; again" in printed
    assert slow.loc[0, "jobs"] == first
    assert slow.loc[1, "jobs"].split()[0] == first  # where it went on in the second job, or had ended before
    assert states(cluster, run) == ["PREEMPTED", "COMPLETED"]


def test_a_job_that_will_not_start_is_a_warning_with_what_to_do(cluster, brief):
    cluster.run("sacctmgr", "-i", "add", "qos", "quick", "MaxWall=10")
    cluster.run("sacctmgr", "-i", "modify", "user", getpass.getuser(), "set", "qos+=quick")
    edit(brief, "  - slurm_partition", "  - qos=quick\n  - slurm_partition")
    with workflow(cluster, brief, MODELS, "--mnist-slurm-no-check") as run:
        cluster.wait_for(lambda: said(run, "will not start (QOSMaxWallDurationPerJobLimit): the time limit is above"))
        # The reason of the first report may have been another.
        cluster.wait_for(lambda: said(run, "waiting in the queue: 1 ("))
        cluster.run("sacctmgr", "-i", "modify", "qos", "quick", "set", "MaxWall=-1")
        run.ended()


def test_a_job_that_sees_no_gpu_is_tried_on_another_node_and_then_ends_with_the_reason(cluster, project):
    edit(project, "require_gpu=0", "require_gpu=1")
    with workflow(cluster, project) as run:
        printed = run.ended(1)
    assert "not retried" not in printed
    assert "circle slow seeds 0 to 1: failed: no GPU on two nodes: a GPU is required" in printed
    # Slurm gave the job a GPU, and said so to the program.
    assert "(CUDA_VISIBLE_DEVICES is 0," in printed
    nodes = accounting(cluster, "NodeList", "--name", name(run))
    assert len(set(nodes)) == len(nodes) == 2
    assert not (project / "results/circle/runs/slow/seeds-0-1/models.h5").exists()


def test_settings_of_the_slurm_plugin_are_refused_as_they_would_do_nothing(cluster, project):
    edit(project, "mnist-slurm-requeue", "slurm-requeue")
    line = error_line_of(snakemake(project, profile="slurm", **cluster.environment))
    assert "slurm-requeue has no effect with executor mnist-slurm; write mnist-slurm-…" in line
    edit(project, "\nslurm-requeue", "\nmnist-slurm-requeue")
    line = error_line_of(snakemake(project, "--slurm-qos", "x", profile="slurm", **cluster.environment))
    assert "--slurm-qos has no effect with executor mnist-slurm; write --mnist-slurm-qos" in line


def error_line_of(result) -> str:
    assert result.returncode == 2, result.stdout
    assert "Traceback" not in result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("mnist_hpc: error: ")]
    return line
