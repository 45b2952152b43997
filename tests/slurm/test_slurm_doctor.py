"""The doctor, status and costs on a private Slurm."""

import json
import os
import signal

import pytest
from harness import (
    NEEDS_SLURM,
    brief,
    cluster,
    edit,
    make,
    make_project,
    project,
    table,
    undisturbed,
    whole,
    workflow,
)

from conftest import error_line
from conftest import run as run_command

pytestmark = NEEDS_SLURM


@pytest.fixture
def doctor(cluster, project):
    """Return a caller of the doctor for the project."""

    def call(*arguments, **environment):
        profile = ("doctor", "--profile", "profiles/slurm")
        return run_command(*profile, *arguments, cwd=project, **(cluster.environment | environment))

    yield call
    assert not list((project / "results").glob(".doctor*"))
    # A trial job that has answered is cancelled, and may still be ending.
    cluster.wait_for(lambda: cluster.run("squeue", "-h") == "")


def status(cluster, project):
    found = run_command("status", cwd=project, **cluster.environment)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_doctor_trains_on_a_compute_node_as_jobs_do(doctor, project):
    # The first variable is that of this host, the second one that of the job.
    precommand = r"""precommand: test "$HERE" = "a host" && export PROBED=yes && test "\$PROBED" = yes"""
    (project / "profiles/slurm/config.yaml").open("a").write(f"{precommand}\n")
    found = doctor(LD_LIBRARY_PATH="/opt/old/lib", HERE="a host")
    assert found.returncode == 0, found.stdout
    assert "ok   trial job: TensorFlow " in found.stdout
    assert "trained a convolution in " in found.stdout
    assert "see the same files" in found.stdout
    assert "note environment: jobs inherit LD_LIBRARY_PATH=/opt/old/lib: " in found.stdout
    assert "FIX" not in found.stdout


def test_the_doctor_reports_what_fails_on_the_compute_node(doctor, project):
    edit(project, "require_gpu=0", "require_gpu=1")
    found = doctor()
    assert "FIX  environment: TensorFlow has no CUDA here; run `make env-gpu`" in found.stdout
    assert "FIX  trial job: it ended as FAILED on n" in found.stdout
    assert "a GPU is required and TensorFlow sees none on" in found.stdout
    assert "2 problems to fix" in error_line(found)
    edit(project, "require_gpu=1", "require_gpu=0")
    (project / "profiles/slurm/config.yaml").open("a").write('precommand: "modul load cuda"\n')
    found = doctor()
    assert "not found; the precommand of the profile failed" in found.stdout
    assert "1 problem to fix" in error_line(found)


def test_a_busy_cluster_is_not_a_fault(cluster, doctor):
    cluster.run("sbatch", "-Aabc123p", "-pGPU-shared", "-N2", "--exclusive", "-o/dev/null", "--wrap=sleep 600")
    try:
        found = doctor("--wait", "2")
    finally:
        cluster.end_jobs()
    assert found.returncode == 0, found.stdout
    assert "note trial job: no node free within 2 s: not a fault (" in found.stdout


def test_a_trial_job_that_will_not_start_is_cancelled_with_advice(cluster, doctor):
    cluster.run("scontrol", "update", "PartitionName=GPU-shared", "State=DOWN")
    try:
        found = doctor("--wait", "600")
    finally:
        cluster.run("scontrol", "update", "PartitionName=GPU-shared", "State=UP")
    assert "note request: partition GPU-shared is down" in found.stdout
    assert "FIX  trial job: it will not start (PartitionDown): the partition does not start jobs" in found.stdout
    # A trial job that has answered is cancelled, and may still be ending.
    cluster.wait_for(lambda: cluster.run("squeue", "-h") == "")


def test_settings_that_snakemake_does_not_know_are_found(doctor, project):
    edit(project, "mnist-slurm-keep-successful-logs", "mnist-slurm-keep-sucessful-logs")
    found = doctor()
    assert (
        "does not know mnist-slurm-keep-sucessful-logs; did you mean mnist-slurm-keep-successful-logs?" in found.stdout
    )
    assert "1 problem to fix" in error_line(found)


def test_where_all_nodes_are_drained_a_run_warns_and_waits_and_status_says_why(cluster, brief):
    cluster.run("scontrol", "update", "NodeName=n1,n2", "State=DRAIN", "Reason=test")
    try:
        with workflow(cluster, brief) as run:
            cluster.wait_for(lambda: cluster.run("squeue", "-h", "-t", "PENDING", "-o", "%i") != "")
            printed = run.output.read_text()
            assert "1 job: --time=" in printed
            assert "Warning: the nodes of GPU-shared that could run" in printed
            assert "jobs wait until they are back" in printed
            number = cluster.run("squeue", "-h", "-o", "%i")
            shown = status(cluster, brief)
            assert f"The workflow is running: process {run.process.pid} on this host." in shown
            assert "In the queue: 0 jobs running, 1 waiting." in shown
            assert f"1 waiting, such as job {number}: " in shown
            assert "unlock" not in shown
            cluster.run("scontrol", "hold", number)
            assert "It will not start (JobHeld" in status(cluster, brief)
            cluster.run("scontrol", "release", number)
            cluster.run("scontrol", "update", "NodeName=n1,n2", "State=RESUME")
            run.ended()
        assert "The workflow" not in status(cluster, brief)
    finally:
        cluster.output("scontrol", "update", "NodeName=n1,n2", "State=RESUME")


@pytest.mark.campaign
def test_from_another_login_node_nothing_is_cancelled_without_being_told_to(cluster, project, whole):
    file = project / "logs/slurm/main.json"
    with workflow(cluster, project) as run:
        first = run.training()
        run.kill(signal.SIGKILL)
        run.process.wait()
        shown = status(cluster, project)
        assert f"The main process (process {run.process.pid} on " in shown
        assert "is lost, and jobs of it are still in the queue; `make resume PROFILE=…` continues its work." in shown

        file.write_text(json.dumps(json.loads(file.read_text()) | {"host": "login2", "process": 123}))
        os.utime(file)
        shown = status(cluster, project)
        assert "The workflow is running: process 123 on login2, last heard of " in shown
        assert "lost" not in shown
        assert "unlock" not in shown
        for arguments in ({}, {"ORPHANS": "cancel"}, {"ORPHANS": "wait"}):
            refused = make(cluster, project, "resume", **arguments)
            assert refused.returncode == 2
            assert "the workflow of this folder is running: process 123 on login2, last heard of" in refused.stderr
            assert "add FORCE=1" in refused.stderr
        assert cluster.run("squeue", "-h", "-o", "%i") == first
        resumed = make(cluster, project, "resume", during=lambda: run.go_on(first), ORPHANS="wait", FORCE="1")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        slow = whole(project)
    assert slow["jobs"].tolist() == [first, first]


def test_status_tells_of_a_job_that_runs_the_whole_study_and_costs_count_it_once(cluster, project):
    logs = project / "logs/slurm/node"
    logs.mkdir(parents=True)
    options = ("-Aabc123p", "-pGPU-shared", "--gpus-per-node=2", f"-D{project}", f"-o{logs}/%j.log")
    begin = cluster.run("sbatch", "--parsable", "--begin=now+600", *options, "--wrap=echo on; sleep 600")
    main = {"host": "", "process": 0, "run": "mnist_node", "job": begin, "works": {}}
    (project / "logs/slurm/main.json").write_text(json.dumps(main))
    assert f"The workflow waits in the queue as job {begin}. BeginTime: " in status(cluster, project)

    def shown(text):
        return text in cluster.run("scontrol", "show", "job", begin)

    cluster.run("scontrol", "update", f"JobId={begin}", "StartTime=now")
    cluster.wait_for(lambda: shown("JobState=RUNNING"))
    assert f"The workflow is running: job {begin} on n" in status(cluster, project)
    cluster.run("scontrol", "requeue", begin)
    # Two minutes from then; it is killed if it starts before its credential has expired, after 10 s.
    cluster.wait_for(lambda: shown("Reason=BeginTime"))
    cluster.run("scontrol", "update", f"JobId={begin}", "StartTime=now+12")
    cluster.wait_for(lambda: shown("JobState=RUNNING"))
    cluster.end_jobs()
    assert f"The workflow ran in job {begin}, which has left the queue" in status(cluster, project)

    (project / "results/digits/tables").mkdir(parents=True)
    costs = make(cluster, project, "resources")
    assert costs.returncode == 0, costs.stderr
    (row,) = table(project, "resources").itertuples()
    assert (row.variant, row.jobs) == ("node", 1)
    jobs = table(project, "jobs")
    assert len(jobs) == 2
    assert (jobs["gpus"] == 2).all()
    assert row.gpu_hours == pytest.approx(2 * row.wall_seconds / 3600)
    assert row.node_hours == pytest.approx(row.wall_seconds / 3600)
    assert table(project, "resources")[["train_seconds", "training_share"]].isna().all(axis=None)
