"""The workflow on a real, private Slurm with accounting and fake GPUs; each fault ends in the tables of a quiet run."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pandas as pd
import pytest
import yaml
from harness import (
    BRIEF,
    MODELS,
    NEEDS_SLURM,
    SLOW,
    STEPS,
    accounting,
    cluster,
    content,
    edit,
    make,
    make_project,
    name,
    project,
    table,
    undisturbed,
    whole,
    workflow,
)

from conftest import DIFFER, UNTIL_TABLES, copy_project, error_line, snakemake
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.study.specification import Study

pytestmark = NEEDS_SLURM

ROOT = Path(__file__).parents[2]
# How many small jobs a study has (`make trust`).
LOAD = int(os.environ.get("SLURM_LOAD", "5"))
# Of the shipped study, as `make demo` runs it: a linear and a convolutional model of images, and one of points.
DEMO = ("regression", "cnn", "circle-3")


@pytest.mark.campaign
def test_many_small_jobs_lose_and_double_no_row(cluster, make_project):
    seeds = f"seeds: {LOAD}\nseeds_per_job: 1"
    project = make_project(BRIEF.replace("seeds: 2\nseeds_per_job: 2", seeds))
    with workflow(cluster, project, *UNTIL_TABLES) as run:
        run.ended()
    runs = table(project)
    assert runs["seed"].tolist() == list(range(LOAD))
    assert set(runs["status"]) == {"ok"}
    listed = accounting(cluster, "JobID,State", "--name", name(run))
    assert sorted(listed) == sorted(f"{job}|COMPLETED" for job in runs["jobs"])


def test_the_demo_study_gives_the_tables_of_this_machine_and_each_block_is_one_job_with_a_gpu(cluster, make_project):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["variants"] = {name: config["variants"][name] for name in DEMO}
    del config["sweeps"], config["ensembles"], config["draw"]
    demo = make_project(yaml.safe_dump(config, sort_keys=False))
    few = ("--config", "dataset=digits", "max_seeds=1", "max_epochs=1")
    result = snakemake(demo, *UNTIL_TABLES, *few)
    assert result.returncode == 0, result.stdout
    here = table(demo)
    shutil.rmtree(demo / "results")
    with workflow(cluster, demo, *UNTIL_TABLES, *few) as run:
        printed = run.ended()
    runs = table(demo)
    pd.testing.assert_frame_equal(runs.drop(columns=DIFFER), here.drop(columns=DIFFER))
    assert "started: " not in snakemake(demo, *UNTIL_TABLES, *few, trains=False).stdout

    assert sum(map(int, re.findall(r"^(\d+) jobs?: ", printed, re.MULTILINE))) == len(runs)
    assert "GPU-hours if every job uses its whole time limit" in printed
    listed = accounting(cluster, "JobID,State,AllocTRES,ReqTRES,TimelimitRaw", "--name", name(run))
    assert len(listed) == len(runs)
    for job in listed:
        assert "|COMPLETED|" in job
        assert "gres/gpu=1" in job
    # The training and 10 minutes for each evaluation, with the CPUs of one of them, as they run one after the other.
    limits = [10 + 10, 10 + 20, 30 + 20]  # points are no images, which are evaluated twice
    assert sorted(int(job.rpartition("|")[2]) for job in listed) == limits
    assert sorted(re.findall(r"\|[^|]*cpu=(\d),[^|]*\|\d+$", job)[0] for job in listed) == ["1", "1", "2"]
    # The doctor shows the same.
    asked = Profile(demo / "profiles/slurm").requests(Study.read(demo / "config.yaml"), demo / "none")
    assert sorted(request.runtime for request in asked) == limits
    assert set(runs["jobs"]) == {job.partition("|")[0] for job in listed}
    for row in runs.itertuples():
        (path,) = (demo / "logs/slurm").rglob(f"{row.jobs}.log")
        rules = "evaluate_train" if row.dataset in ("circle", "spirals") else "evaluate_perturb_train"
        assert path.parent.name == f"group_block_{rules}"
        log = path.read_text()
        assert f"train:dataset={row.dataset},variant={row.variant},first=0,last=0" in log

    assert_costs(cluster, demo, runs, few)


def assert_costs(cluster, demo, runs, few):
    """Expect that what the jobs of a study cost is listed and drawn."""
    costs = make(cluster, demo, "resources", CONFIG=" ".join(few[1:]))
    assert costs.returncode == 0, costs.stderr
    resources = table(demo, "resources").set_index("variant")
    assert sorted(resources.index) == sorted(runs["variant"])
    assert (resources[["jobs", "completed"]] == 1).all(axis=None)
    assert resources["gpu_hours"].to_numpy() == pytest.approx(resources["wall_seconds"].to_numpy() / 3600)
    assert resources["training_share"].between(0, 1).all()
    assert resources["memory_peak_mb"].between(100, 4000).all()
    jobs = table(demo, "jobs")
    assert set(jobs["job"].astype(str)) == set(runs["jobs"])
    assert jobs["gpu_hours"].sum() == pytest.approx(resources["gpu_hours"].sum())
    figure = "results/digits/figures/slurm.svg"
    drawn = snakemake(demo, figure, *few)
    assert drawn.returncode == 0, drawn.stdout
    assert f"{len(runs)} Slurm jobs" in (demo / figure).read_text()


def test_a_cancelled_training_goes_on_in_a_new_job(cluster, project, whole):
    with workflow(cluster, project) as run:
        first = run.training()
        cluster.run("scancel", first)
        run.ended()
        slow = whole(project)
    assert slow.loc[0, "jobs"] == first
    assert slow.loc[1, "jobs"].startswith(f"{first} ")
    assert "seed 0: already trained by an earlier process" in run.log
    assert "seed 1: continues at step" in run.log


def test_the_jobs_of_a_sweep_give_the_table_of_one_machine_and_go_on_where_they_were(cluster, make_project, tmp_path):
    # Two brackets of three points; in each, one of three goes on to the second rung, and is the finalist.
    halved = "seeds: 1, jobs: 2, halving: {first: 1/3, finalists: 1, fresh_seeds: 1}"
    rates = "learning_rate: [0.01, 0.02, 0.05, 0.1, 0.2, 0.5]"
    config = SLOW.replace(str(STEPS), "6000")
    config += f"sweeps: {{rates: {{variant: slow, grid: {{{rates}}}, {halved}}}}}\n"
    project = make_project(config)
    undisturbed = copy_project(tmp_path / "undisturbed", config)
    best = "results/circle/sweeps/rates/best.json"
    assert snakemake(undisturbed, best).returncode == 0
    with workflow(cluster, project, best) as run:
        log = project / "logs/circle/sweeps/rates/part-1-of-2.log"
        record = project / "results/state/circle/sweep.rates/part-1-of-2.json"
        for stage in ("rung 1 of 2", "rung 2 of 2", "finalists"):
            cluster.wait_for(lambda stage=stage: re.search(rf"{stage}, pack 1 of 1, seed \d+: step", content(log)))
            job = json.loads(content(record))[-1]["job"]  # the other one goes on
            cluster.run("scancel", job)
        printed = run.ended()
    assert "2 jobs: " in printed
    points = "results/circle/sweeps/rates/points.csv"
    ours, theirs = (
        pd.read_csv(root / points).drop(columns=["train_seconds", "checksum"]) for root in (project, undisturbed)
    )
    pd.testing.assert_frame_equal(ours, theirs)
    assert ours.groupby("rung")["point"].nunique().tolist() == [6, 2, 2]
    choices = [json.loads((root / best).read_text()) for root in (project, undisturbed)]
    kept = [{key: choice[key] for key in choice if key not in ("train_seconds", "checksum")} for choice in choices]
    assert kept[0] == kept[1]
    assert re.search(r"finalists, pack 1 of 1, seed \d+: continues at step", log.read_text())
    costs = make(cluster, project, "resources")
    assert costs.returncode == 0, costs.stderr
    (row,) = table(project, "resources").itertuples()
    assert (row.variant, row.completed) == ("sweep.rates", 2)
    assert row.jobs > 4


def test_a_node_that_dies_is_left_for_another(cluster, project, whole):
    with workflow(cluster, project) as run:
        first = run.training()
        node = cluster.run("squeue", "-h", "-j", first, "-o", "%N")
        cluster.crash(node, first)
        cluster.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
        try:
            run.ended()
        finally:
            cluster.start_node(node)
            cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        slow = whole(project)
    assert slow.loc[0, "jobs"] == first  # not trained again
    assert cluster.run("sacct", "-D", "-X", "-n", "-P", "-j", first, "-o", "State").splitlines()[0] == "NODE_FAIL"


def test_a_training_goes_on_over_time_limits_with_the_default_limit(cluster, make_project):
    config = SLOW.replace("seeds: 2", "seeds: 3").replace("seeds_per_job: 2", "seeds_per_job: 1")
    project = make_project(config.replace(str(STEPS), str(100 * STEPS)))
    recorded = project / "results/circle/runs/slow/seeds-1-1/metrics.csv"
    recorded.parent.mkdir(parents=True)
    recorded.write_text("seed,train_seconds\n1,1\n")

    def limits():
        return cluster.run("sacct", "-X", "-n", "-P", "--name", name(run), "-o", "TimelimitRaw").splitlines()

    with workflow(cluster, project, "results/circle/runs/slow/seeds-0-0/metrics.csv") as run:
        log = project / "logs/circle/slow/seeds-0-0/train.log"
        cluster.wait_for(lambda: "seed 0: step" in content(log))
        assert limits() == ["15"]  # 5 minutes for the training by the recorded time, 10 for the evaluation
        first = str(run.attempts("0-0")[-1]["job"])
        cluster.near_its_end(first, seconds=120)
        cluster.wait_for(lambda: "seed 0: continues at step" in content(log))
        interrupted, going_on = run.attempts("0-0")
        assert limits()[1:] == ["70"]
    assert (interrupted["job"], interrupted["end"]) == (first, "interrupted")
    assert going_on["job"] != first


def test_a_preempted_training_goes_on_when_there_is_room(cluster, project, whole):
    edit(project, "GPU-shared", "low")
    with workflow(cluster, project) as run:
        first = run.training()
        urgent = cluster.run(
            "sbatch", "--parsable", "-pGPU-shared", "-N2", "--exclusive", "-o/dev/null", "--wrap=sleep 5"
        )
        run.ended()
        slow = whole(project)
    assert accounting(cluster, "State", "-j", urgent) == ["COMPLETED"]
    assert slow.loc[0, "jobs"] == first
    assert slow.loc[1, "jobs"].split() == [first, first]  # the same job, requeued
    assert "seed 1: continues at step" in run.log


def test_too_little_memory_is_recorded_and_doubled(cluster, make_project):
    project = make_project(BRIEF + "    mem_mb: 400\n")
    with workflow(cluster, project) as run:
        run.ended()
    assert accounting(cluster, "ReqMem", "--name", name(run)) == ["400M", "800M"]


def test_daemons_that_are_away_for_a_while_lose_nothing(cluster, project, whole):
    with workflow(cluster, project) as run:
        job = run.training()
        cluster.kill("slurmctld")
        cluster.wait_for(lambda: "Slurm does not answer, asked again until it does: " in run.output.read_text())
        cluster.start_slurmctld()
        cluster.kill("slurmdbd")
        try:
            run.go_on(job)
            run.ended()
        finally:
            cluster.start_slurmdbd()
        slow = whole(project)
    assert slow["windows"].tolist() == [1, 1]


def test_a_lost_main_process_is_resumed_as_asked(cluster, project, whole):
    with workflow(cluster, project) as run:
        first = run.training()
        run.kill(signal.SIGKILL)
        run.process.wait()

        refused = make(cluster, project, "resume")
        assert refused.returncode == 2
        assert f"job {first} (stopped, n" in refused.stdout
        assert "add ORPHANS=wait" in refused.stderr
        node = make(cluster, project, "node", PROFILE="profiles/slurm")
        assert "this work is still done by 1 job of an earlier main process" in error_line(node)

        assert snakemake(project, "--unlock", profile="slurm", **cluster.environment).returncode == 0
        again = snakemake(project, profile="slurm", **cluster.environment)
        assert again.returncode == 2
        assert f"still done by 1 job of an earlier main process, such as job {first} (stopped, n" in again.stdout
        resumed = make(cluster, project, "resume", during=lambda: run.go_on(first), ORPHANS="wait")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        slow = whole(project)
    assert slow["jobs"].tolist() == [first, first]  # nothing was trained twice
    assert cluster.run("squeue", "-h") == ""


def test_orphans_can_be_cancelled_or_left_at_work(cluster, project, whole):
    with workflow(cluster, project) as run:
        first = run.training()
        run.kill(signal.SIGKILL)
        run.process.wait()
        resumed = make(cluster, project, "resume", ORPHANS="cancel")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        slow = whole(project)
    assert slow.loc[0, "jobs"] == first
    assert slow.loc[1, "jobs"].startswith(f"{first} ")


@pytest.mark.campaign
def test_orphans_can_be_adopted_while_the_others_run(cluster, project, whole):
    with workflow(cluster, project) as run:
        first = run.training()
        run.kill(signal.SIGKILL)
        run.process.wait()
        resumed = make(cluster, project, "resume", during=lambda: run.go_on(first), ORPHANS="adopt")
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        slow = whole(project)
    assert slow["jobs"].tolist() == [first, first]


def test_after_ctrl_c_the_trainings_go_on(cluster, project, whole):
    with workflow(cluster, project) as run:
        first = run.training()
        run.kill(signal.SIGINT)
        run.ended(1)
        cluster.wait_for(lambda: cluster.run("squeue", "-h") == "")
        assert run.attempts()[-1]["end"] == "interrupted"
        result = snakemake(project, MODELS, profile="slurm", **cluster.environment)
        assert result.returncode == 0, result.stdout
        slow = whole(project)
    assert slow.loc[0, "jobs"] == first
    assert slow.loc[1, "jobs"].startswith(f"{first} ")
