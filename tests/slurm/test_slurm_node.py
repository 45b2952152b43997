"""``make node`` on the private Slurm: one job with four GPUs, and what happens to it."""

import json
import os
import re
import signal
from pathlib import Path

import pandas as pd
import pytest
from harness import NEEDS_SLURM, SLOW, STEPS, accounting, cluster, content, edit, make, table, without_figures

from conftest import DIFFER, UNTIL_TABLES, copy_project, error_line, made_once, snakemake
from mnist_hpc.cluster.node import WARNING_SECONDS

pytestmark = NEEDS_SLURM

# Four trainings of some seconds each, and one that needs no GPU.
STUDY = SLOW.replace("seeds: 2\nseeds_per_job: 2", "seeds: 4\nseeds_per_job: 1").replace(
    str(STEPS), str(STEPS * 3 // 2)
)
STUDY += """
  tiny:
    base: slow
    layers: [{Dense: {units: 2}}]
    steps: 100
    device: cpu
    seeds: 1
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Return runs.csv of the study on this machine."""

    def build(folder):
        result = snakemake(copy_project(folder, STUDY), *UNTIL_TABLES)
        assert result.returncode == 0, result.stdout

    return table(made_once(tmp_path_factory, "node", build))


@pytest.fixture
def study(cluster, tmp_path, here):
    """Return a study that needs no real GPU; afterwards, no job of it is left."""
    yield Study(cluster, copy_project(tmp_path / "a user's study", STUDY), here)
    cluster.end_jobs()


class Study:
    """A study that runs as a job that fills a node."""

    def __init__(self, cluster, project, here):
        self.cluster, self.project, self.here = cluster, project, here
        edit(project, "require_gpu=1", "require_gpu=0")
        without_figures(project)

    def make(self, **variables):
        """Run ``make node`` as a user does."""
        return make(self.cluster, self.project, "node", PROFILE="profiles/slurm", GPUS=4, **variables)

    def submitted(self, **variables) -> str:
        """Run ``make node`` and return the number of the job."""
        done = self.make(**variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return re.search(r"^Job (\d+): ", done.stdout, re.MULTILINE)[1]

    def log(self, job: str) -> str:
        return content(self.project / f"logs/slurm/node/{job}.log")

    def program(self, seed: int) -> str:
        """Return what the training of a seed has printed since it was started last."""
        return content(self.project / f"logs/circle/slow/seeds-{seed}-{seed}/train.log")

    def attempts(self, seed: int) -> list[dict[str, str]]:
        return json.loads(content(self.project / f"results/state/circle/slow/seeds-{seed}-{seed}.json") or "[]")

    def hold(self) -> dict[int, int]:
        """Stop all four trainings when each has begun; return their processes by seed."""
        held: dict[int, int] = {}

        def all_held() -> bool:
            for seed in set(range(4)) - held.keys():
                over = re.search(rf"seed {seed}: step (\d+) of \1,", self.program(seed))
                assert not over, f"the training of seed {seed} was over before it was stopped"
                if self.process(seed) and f"seed {seed}: step" in self.program(seed):
                    held[seed] = self.process(seed)
                    os.kill(held[seed], signal.SIGSTOP)
            return len(held) == 4

        self.cluster.wait_for(all_held)
        return held

    def process(self, seed: int) -> int | None:
        """Return the process that trains a seed now: the one that writes its log and has TensorFlow."""
        log = self.project / f"logs/circle/slow/seeds-{seed}-{seed}/train.log"
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if log.exists() and (folder / "fd/2").samefile(log) and "tensorflow" in (folder / "maps").read_text():
                    return int(folder.name)
            except OSError:  # it has ended
                continue
        return None

    def go_on(self, held: dict[int, int]) -> None:
        for process in held.values():
            os.kill(process, signal.SIGCONT)

    def ended(self, job: str, *states: str) -> None:
        """Wait until the queue is empty; expect the states of the job, one for each time that it ran."""
        self.cluster.wait_for(lambda: self.cluster.run("squeue", "-h") == "")
        accounting(self.cluster, "State", "-j", job)
        assert self.runs(job) == list(states), self.log(job)
        assert not (self.project / "logs/slurm/main.json").exists() or states[-1].startswith("CANCELLED")

    def runs(self, job: str) -> list[str]:
        return self.cluster.run("sacct", "-D", "-X", "-n", "-P", "-j", job, "-o", "State").splitlines()

    def assert_whole(self) -> pd.DataFrame:
        """Expect the tables of this machine; return runs.csv of the variant that takes a while."""
        runs = table(self.project)
        pd.testing.assert_frame_equal(runs.drop(columns=DIFFER), self.here.drop(columns=DIFFER))
        assert not (self.project / "results/state").exists()
        return runs[runs["variant"] == "slow"].set_index("seed")


def test_it_keeps_four_devices_busy_and_returns_to_the_queue_at_its_time_limit_until_the_study_is_done(study):
    job = study.submitted()
    for window in (1, 2):
        held = study.hold()  # all of them at once
        devices = [re.search(r"^GPU (\d) of 0,1,2,3, slot 0$", study.program(seed), re.MULTILINE)[1] for seed in held]
        assert sorted(devices) == ["0", "1", "2", "3"]
        if window == 1:
            study.cluster.near_its_end(job, seconds=WARNING_SECONDS)
        else:  # the signal that Slurm sends then, without its delay
            study.cluster.run("scancel", "--batch", "--signal=USR1", job)
        study.cluster.wait_for(lambda window=window: study.log(job).count("Asking the trainings") == window)
        study.go_on(held)
        study.cluster.wait_for(lambda window=window: len(study.runs(job)) == window + 1)
        study.cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=60")
    study.ended(job, "REQUEUED", "REQUEUED", "COMPLETED")
    slow = study.assert_whole()
    assert slow["windows"].max() > 1
    assert set(" ".join(slow["jobs"]).split()) == {job}
    assert "slot" not in (study.project / "logs/circle/tiny/seeds-0-0/train.log").read_text()
    (allocated,) = accounting(study.cluster, "AllocTRES", "-j", job)
    assert "gres/gpu=4" in allocated
    assert "node=1" in allocated
    assert "Nothing to be done" in snakemake(study.project, trains=False).stdout


def test_cancelled_it_stays_cancelled_and_another_continues(study):
    job = study.submitted()
    held = study.hold()
    again = study.make()
    assert f"the workflow of this folder is running: job {job} (running, n2)" in error_line(again)
    study.go_on(held)
    study.cluster.run("scancel", job)
    study.cluster.wait_for(lambda: study.cluster.run("squeue", "-h") == "")
    (state,) = accounting(study.cluster, "State", "-j", job)
    assert state.startswith("CANCELLED")
    assert [study.attempts(seed)[-1]["end"] for seed in range(4)] == ["interrupted"] * 4
    following = study.submitted()
    study.ended(following, "COMPLETED")
    assert set(study.assert_whole()["jobs"]) == {f"{job} {following}"}


@pytest.mark.campaign
def test_a_job_that_dies_with_its_node_starts_again_and_removes_its_own_locks(study):
    job = study.submitted()
    study.hold()
    study.cluster.crash("n2", job)
    study.cluster.run("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")
    assert list((study.project / ".snakemake/locks").glob("*.lock"))
    study.cluster.start_node("n2")
    study.cluster.run("scontrol", "update", "NodeName=n2", "State=RESUME")
    study.ended(job, "NODE_FAIL", "COMPLETED")
    study.assert_whole()


@pytest.mark.campaign
def test_where_jobs_are_not_requeued_another_follows(study):
    job = study.submitted()
    study.go_on(study.hold())
    study.cluster.run("scontrol", "update", f"JobId={job}", "Requeue=0")
    study.cluster.run("scancel", "--batch", "--signal=USR1", job)
    study.cluster.wait_for(lambda: "Slurm requeues no job" in study.log(job))
    following = re.search(r"job (\d+) continues", study.log(job))[1]
    study.ended(following, "COMPLETED")
    assert study.runs(job) == ["FAILED"]
    study.assert_whole()


def test_without_progress_it_does_not_return(study):
    # The signal comes while Snakemake still reads the Snakefile.
    with (study.project / "Snakefile").open("a") as snakefile:
        snakefile.write(
            "import os, time\nif 'SLURM_JOB_ID' in os.environ:\n    Path('reached').touch()\n    time.sleep(600)\n"
        )
    job = study.submitted()
    study.cluster.wait_for((study.project / "reached").exists)
    study.cluster.run("scancel", "--batch", "--signal=USR1", job)
    study.ended(job, "FAILED")
    assert "without progress since the last" in study.log(job).splitlines()[-1]


def test_a_training_that_fails_is_in_the_status_and_the_others_are_done(study):
    job = study.submitted()
    held = study.hold()
    os.kill(held.pop(2), signal.SIGKILL)
    study.go_on(held)
    study.ended(job, "FAILED")
    status = make(study.cluster, study.project, "status")
    assert f"circle slow seeds 2 to 2: its process was killed, perhaps for its memory ({os.uname()[1]}, job {job})" in (
        status.stdout
    )
    assert "1 of 5 runs are left to do." in status.stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("abc123p", "nobody", "Invalid account"),
        ("--gpus-per-node=1", "--gpus-per-node=h100:1", "--gpus-per-node=h100:4"),
        ("--gpus-per-node=1", "--gres=gpu:v100-32:1' '--nodelist=n1", "--gres=gpu:v100-32:4"),
    ],
)
def test_what_slurm_would_refuse_is_said_in_one_line(study, old, new, said):
    edit(study.project, old, new)
    assert said in error_line(study.make())
    assert study.cluster.run("squeue", "-h") == ""
    assert not (study.project / "results").exists()


def test_a_profile_without_checks_leaves_them_to_slurm(study):
    edit(study.project, "abc123p", "nobody")
    edit(study.project, "executor: mnist-slurm\n", "executor: mnist-slurm\nmnist-slurm-no-check: true\n")
    assert "Batch job submission failed: Invalid account" in error_line(study.make())
