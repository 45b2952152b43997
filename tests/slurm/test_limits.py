"""Time limits that follow recorded times, on the private Slurm."""

from harness import NEEDS_SLURM, accounting, cluster, make_project, name, workflow

from conftest import SMALL_STUDY
from mnist_hpc.cluster import attempts
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.study.specification import Study

pytestmark = NEEDS_SLURM


def test_training_and_evaluations_of_a_block_are_one_job_with_the_limits_and_cpus_that_doctor_shows(
    cluster, make_project, tmp_path
):
    project = make_project(SMALL_STUDY)
    regression, circle = "digits/runs/regression/seeds-0-1", "circle/runs/circle/seeds-0-1"
    with workflow(cluster, project, f"results/{regression}/perturbed.csv", f"results/{circle}/metrics.csv") as run:
        run.ended()
    listed = accounting(cluster, "JobID,TimelimitRaw,ReqTRES,State", "--name", name(run))
    jobs = [line.split("|") for line in listed]
    # Training 60 minutes, and each evaluation 10; one CPU, as they run one after the other.
    assert sorted(limit for _, limit, _, _ in jobs) == ["70", "80"]
    assert all("cpu=1," in request and state == "COMPLETED" for _, _, request, state in jobs)
    asked = Profile(project / "profiles/slurm").requests(Study.read(project / "config.yaml"), tmp_path / "none")
    shown = {limit for request in asked for limit in request.arguments if limit.startswith("--time=")}
    assert shown == {"--time=70", "--time=80"}
    (number,) = [number for number, limit, _, _ in jobs if limit == "80"]
    entries = attempts.read(project / "results/state/digits/regression/seeds-0-1.json")
    assert [(entry["stage"], entry["job"], entry["end"]) for entry in entries] == [
        (stage, number, "ok") for stage in ("train", "evaluate", "perturb")
    ]
