"""What a private Slurm refuses, queues or never starts, and what is said about it before anything is submitted."""

import contextlib
import getpass

import pytest
from harness import NEEDS_SLURM, cluster, edit, make_project, project

from conftest import error_line, snakemake
from conftest import run as run_command
from mnist_hpc.cluster import preflight
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.request import Request
from mnist_hpc.cluster.verdict import Site, examine
from mnist_hpc.study.specification import Study

pytestmark = NEEDS_SLURM

WAYS = (
    *("--gpus-per-node=1", "--gpus-per-node=v100-32:2", "--gres=gpu", "--gres=gpu:2", "--gres=gpu:v100-32:2"),
    *("--gpus=2", "-G 2", "-G2", "--gpus v100-32:2", "--gpus-per-task=1 --ntasks=2", "--gpus-per-node=2 -N 2"),
    *("--gpus-per-node=1 --gres=gpu:2", "--exclusive --gpus-per-node 1", "--time=5"),
)


@pytest.fixture
def here(cluster, monkeypatch):
    """Let this process talk to the cluster, and undo what a test changed there."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    yield cluster
    cluster.end_jobs()


def verdict(extra="", jobs=1, threads=1, **resources):
    """Return what is said about a request, without a memory of earlier ones."""
    usual = {"slurm_account": "abc123p", "slurm_partition": "GPU-shared", "runtime": 80, "mem_mb": 4000}
    return examine(Request.of(usual | {"slurm_extra": extra} | resources, threads), Site(), jobs)


@contextlib.contextmanager
def changed(cluster, *command, back):
    """Change something of the cluster for a while."""
    cluster.run(*command)
    try:
        yield
    finally:
        cluster.run(*command[: -len(back)], *back)


def drained(cluster):
    """Drain all nodes for a while."""
    return changed(
        cluster, "scontrol", "update", "NodeName=n1,n2", "State=DRAIN", "Reason=test", back=("State=RESUME",)
    )


def of_user(cluster, limit):
    """Give the user's association a limit for a while."""
    key = limit.rpartition("=")[0]
    return changed(cluster, "sacctmgr", "-i", "modify", "user", getpass.getuser(), "set", limit, back=(f"{key}=-1",))


@pytest.fixture(scope="module")
def quick(cluster):
    """Return a QOS with a limit of 10 minutes that the user may use."""
    cluster.run("sacctmgr", "-i", "add", "qos", "quick10", "MaxWall=10", "MaxSubmitJobsPerUser=3")
    cluster.run("sacctmgr", "-i", "modify", "user", getpass.getuser(), "set", "qos+=quick10")
    yield "quick10"
    cluster.run("sacctmgr", "-i", "delete", "qos", "quick10")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("abc123p", "nobody", "Invalid account or account/partition combination specified; check slurm_account in"),
        ("GPU-shared", "nowhere", "invalid partition specified: nowhere; Invalid partition name specified; check"),
        ("gpus-per-node=1", "gpus-per-node=h100:1", "has 1 GPU h100 (GPU types: v100-32); check slurm_extra in"),
        ("GPU-shared", "short", "partition short allows 2 minutes and a job requests "),
        (
            "gpus-per-node=1",
            "gpus=1",
            "found --gpus (GPU allocation), which Snakemake refuses there; write --gpus-per-",
        ),
        ("GPU-shared", "GPU-shared\n  - constraint=fast", "Invalid feature specification; check constraint in"),
        ("GPU-shared", "GPU-shared\n  - qos=quick10", "QOS quick10 allows 10 minutes and a job requests"),
    ],
)
@pytest.mark.usefixtures("quick", "here")
def test_what_slurm_would_refuse_is_said_in_one_line(project, old, new, said):
    edit(project, old, new)
    study = Study.read(project / "config.yaml")
    for request in Profile(project / "profiles/slurm").requests(study, project / "results"):
        assert said in preflight.refusal(request)


def test_what_slurm_would_refuse_is_said_before_anything_is_queued(cluster, project):
    edit(project, "abc123p", "nobody")
    said = "Invalid account or account/partition combination specified; check slurm_account in"
    doctor = run_command("doctor", "--profile", "profiles/slurm", cwd=project, **cluster.environment)
    assert said in doctor.stdout
    assert "note trial job: not submitted" in doctor.stdout
    assert "1 problem to fix" in error_line(doctor)
    run = snakemake(project, profile="slurm", **cluster.environment)
    assert run.returncode == 2
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("mnist_hpc: error: ")]
    assert said in line
    assert cluster.run("squeue", "-h") == ""


def test_a_request_that_no_drained_node_could_fulfil_is_an_error(here):
    with drained(here):
        assert not verdict("--gpus-per-node=v100-32:2").error
        assert "1 GPU h100" in verdict("--gpus-per-node=h100:1").error
        assert "no node of GPU-shared has 9 CPUs" in verdict(threads=9).error
        assert "64001 MB of memory" in verdict(mem_mb=64001).error
        assert "fewer than 3 nodes of GPU-shared have 3 GPUs" in verdict("--gpus-per-node=3", nodes=3).error
        assert verdict("--gpus-per-node=1", slurm_partition="low,GPU-shared").warnings


def test_a_partition_that_is_down_is_a_warning_and_a_closed_one_an_error(here):
    down = ("scontrol", "update", "PartitionName=low")
    with changed(here, *down, "State=DOWN", back=("State=UP",)):
        (warning,) = verdict("--gpus-per-node=1", slurm_partition="low").warnings
        assert warning == "partition low is down; jobs wait until the site opens it again"
        assert "PENDING" in here.run("sh", "-c", "sbatch -Aabc123p -plow --wrap=true >/dev/null; squeue -h -o %T")
    with changed(here, *down, "State=INACTIVE", back=("State=UP",)):
        said = verdict("--gpus-per-node=1", slurm_partition="low").error
        assert "Required partition not available (inactive or drain); check slurm_partition in the profile: the" in said
        assert not here.succeeds("sbatch", "-Aabc123p", "-plow", "--wrap=true")


def test_limits_of_time_are_those_of_partition_qos_and_account(here, quick):
    assert verdict(runtime=48 * 60).error is None
    assert "partition GPU-shared allows 2880 minutes" in verdict(runtime=48 * 60 + 1).error
    assert "partition GPU-shared allows 2880 minutes" in verdict(runtime=48 * 60 + 1, slurm_partition="").error
    assert verdict(slurm_partition="short,low").error is None
    with of_user(here, "MaxWall=60"):
        assert "account abc123p allows 60 minutes and a job requests 80" in verdict().error
    of_low = ("scontrol", "update", "PartitionName=low")
    with changed(here, *of_low, f"QoS={quick}", back=("QoS=",)):
        assert f"QOS {quick} allows 10 minutes" in verdict(slurm_partition="low").error
        assert verdict().error is None
    with changed(here, "sacctmgr", "-i", "modify", "qos", quick, "set", "Flags=PartitionTimeLimit", back=("Flags=-1",)):
        assert verdict(slurm_partition="short", qos=quick, runtime=10).error is None
    assert "partition short allows 2 minutes" in verdict(slurm_partition="short", qos=quick, runtime=10).error


def test_limits_on_submitted_jobs_only_inform(here, quick):
    assert verdict(qos=quick, runtime=5, jobs=3).warnings == []
    found = verdict(qos=quick, runtime=5, jobs=4)
    assert found.error is None
    assert found.warnings == [f"QOS {quick} allows at most 3 jobs in the queue at a time; the others wait"]
    with of_user(here, "MaxSubmitJobs=1"):
        assert verdict(jobs=2).warnings == [
            "account abc123p allows at most 1 job in the queue at a time; the others wait"
        ]


def test_hours_that_are_used_up_are_a_warning(here):
    with of_user(here, "GrpTRESMins=cpu=0"):
        (warning,) = verdict().warnings
        assert "account abc123p has used " in warning
        assert "of its 0 minutes of cpu" in warning


def test_without_accounting_nothing_is_refused_that_slurm_accepts(here):
    here.kill("slurmdbd")
    try:
        assert verdict("--gpus-per-node=1") == verdict("--gpus-per-node=2")
        assert verdict("--gpus-per-node=1").error is None
    finally:
        here.start_slurmdbd()


@pytest.mark.parametrize("way", WAYS)
def test_gpus_are_counted_as_slurm_counts_them(here, way):
    number = here.run("sbatch", "--parsable", "--hold", "-Aabc123p", "-pGPU-shared", *way.split(), "--wrap=true")
    shown = here.run("scontrol", "show", "job", number)
    (resources,) = [line for line in shown.split() if line.startswith(("TRES=", "ReqTRES="))][:1]
    counted = resources.partition("gres/gpu=")[2].partition(",")[0]
    assert Request.of({"slurm_extra": way}, 1).gpus == int(counted or 0)
