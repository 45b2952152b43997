"""Workflows on the private Slurm that run in the background, and what the tests look at."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cluster import Cluster, missing, running
from conftest import copy_project, made_once, snakemake
from mnist_hpc.training.models_file import read_models

ROOT = Path(__file__).parents[2]
reason = missing()
if reason and os.environ.get("REQUIRE_SLURM") == "1":
    raise RuntimeError(f"REQUIRE_SLURM=1, and {reason}")
NEEDS_SLURM = [pytest.mark.slow, pytest.mark.skipif(reason is not None, reason=str(reason))]

# The cluster of a process.
CLUSTER = pytest.StashKey[Cluster]()
# One job of two seeds.
STEPS = 10000
SLOW = """
dataset: digits
seeds: 2
seeds_per_job: 2
variants:
  slow:
    dataset: circle
    layers: [{Dense: {units: 512, activation: relu}}, {Dense: {units: 2}}]
    optimizer: {SGD: {learning_rate: 0.1}}
    batch_size: 100
    steps: STEPS
""".replace("STEPS", str(STEPS))
# The same with a training of two steps, for what happens before and after it.
BRIEF = SLOW.replace(str(STEPS), "2")
MODELS = "results/circle/runs/slow/seeds-0-1/models.h5"


@pytest.fixture(scope="module")
def cluster(request):
    """Return the cluster that all tests of a process share; a module leaves it as it was."""
    stash = request.config.stash
    if CLUSTER not in stash:
        stack = contextlib.ExitStack()
        request.config.add_cleanup(stack.close)
        stash[CLUSTER] = stack.enter_context(running())
    return stash[CLUSTER]


@pytest.fixture
def make_project(tmp_path):
    """Return a maker of a study with a profile for this cluster: its GPUs are none, so no training may want one."""

    def make(config: str) -> Path:
        project = copy_project(tmp_path / "a user's study", config)
        edit(project, "require_gpu=1", "require_gpu=0")
        edit(project, "status-checks: 60", "status-checks: 2")
        return project

    return make


@pytest.fixture
def project(make_project):
    return make_project(SLOW)


@pytest.fixture
def brief(make_project):
    return make_project(BRIEF)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the models of the slow study, by seed, trained on this machine."""

    def build(folder):
        result = snakemake(copy_project(folder, SLOW), MODELS)
        assert result.returncode == 0, result.stdout

    return read_models(made_once(tmp_path_factory, "slow", build) / MODELS)[1]


@pytest.fixture
def whole(undisturbed):
    """Return a check that the models of a project are those of an undisturbed run, to the last bit.

    It returns what is recorded of them, by seed.
    """

    def check(project) -> pd.DataFrame:
        _, models = read_models(project / MODELS)
        assert models.keys() == undisturbed.keys()
        for seed, model in models.items():
            for name, values in undisturbed[seed].weights.items():
                np.testing.assert_array_equal(model.weights[name], values)
        return pd.DataFrame({seed: model.facts for seed, model in models.items()}).T

    return check


def content(path: Path) -> str:
    """Return what a file holds, or nothing: Snakemake removes the log of a job before the job's next try."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def edit(project: Path, old: str, new: str) -> None:
    """Change the profile of a project."""
    path = project / "profiles/slurm/config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def without_figures(project: Path) -> None:
    """Let the whole study of a project end with its tables: pictures take longer than its trainings."""
    path = project / "Snakefile"
    text = path.read_text()
    for line in ("rules.write_report.output", "[file for name in FIGURES for file in getattr(rules, name).output]"):
        assert f"        {line},\n" in text
        text = text.replace(f"        {line},\n", "")
    path.write_text(text)


def table(project: Path, name: str = "runs") -> pd.DataFrame:
    return pd.read_csv(project / f"results/digits/tables/{name}.csv", dtype={"jobs": str} if name == "runs" else None)


class Workflow:
    """A main process in the background; without arguments up to the models of the slow study.

    Attributes:
        output: file with what it prints.
    """

    def __init__(self, cluster: Cluster, project: Path, *arguments: str) -> None:
        self.cluster, self.project = cluster, project
        self.output = project / "output.txt"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [
                    Path(sys.executable).parent / "snakemake",
                    "--profile",
                    "profiles/slurm",
                    *(arguments or (MODELS,)),
                ],
                cwd=project,
                env={**os.environ, **cluster.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # Tests that run in the background of a shell have inherited that Ctrl-C is ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no threads here
            )

    @property
    def log(self) -> str:
        """What the slow training has printed."""
        return content(self.project / "logs/circle/slow/seeds-0-1/train.log")

    def attempts(self, seeds: str = "0-1") -> list[dict[str, object]]:
        """Return the record of a block."""
        return json.loads(content(self.project / f"results/state/circle/slow/seeds-{seeds}.json") or "[]")

    def training(self) -> str:
        """Wait until seed 0 is done and seed 1 under way, stop the processes of the job there, and return the job."""
        self.cluster.wait_for(lambda: "seed 1: step" in self.log or self.process.poll() is not None)
        job = str(self.attempts()[-1]["job"])
        self.cluster.run("scancel", "--full", "--signal=STOP", job)
        assert self.process.poll() is None, self.output.read_text()
        assert not re.search(r"seed 1: step (\d+) of \1,", self.log), "the training was over before it was stopped"
        return job

    def go_on(self, job: str) -> None:
        """Let a stopped job go on."""
        self.cluster.run("scancel", "--full", "--signal=CONT", job)

    def ended(self, code: int = 0) -> str:
        """Wait for the end, expect an exit code, and return what was printed."""
        self.process.wait(600)
        text = self.output.read_text()
        assert self.process.returncode == code, text
        return text

    def kill(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@contextlib.contextmanager
def workflow(cluster: Cluster, project: Path, *arguments: str):
    """Yield a running workflow; end it and its jobs whatever happens."""
    started = Workflow(cluster, project, *arguments)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.kill(signal.SIGKILL)
            started.process.wait()
        cluster.end_jobs()


def name(run) -> str:
    """Return the name of a workflow's jobs."""
    (line,) = [line for line in run.output.read_text().splitlines() if line.startswith("SLURM run ID: ")]
    return line.removeprefix("SLURM run ID: ")


def accounting(cluster, columns: str, *jobs: str) -> list[str]:
    """Return what sacct says of jobs that have left the queue, a line each; it may know of their end a moment later."""
    sacct = ("sacct", "-X", "-n", "-P", *jobs, "-o")
    under_way = {"PENDING", "RUNNING", "COMPLETING", "REQUEUED"}
    cluster.wait_for(lambda: not under_way & set(cluster.run(*sacct, "State").splitlines()))
    return cluster.run(*sacct, columns).splitlines()


def make(cluster, project, target, during=lambda: None, **variables):
    """Run a command of the Makefile as a user does, and something else once it has printed its first job.

    What it leaves to Snakemake is the models of the slow study.
    """
    words = ["make", "-f", ROOT / "Makefile", target, "ENV=", f"ON_CLUSTER=snakemake --profile profiles/slurm {MODELS}"]
    words += [f"{name}={value}" for name, value in variables.items()]
    output, errors = project / "make.out", project / "make.err"
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    environment = os.environ | cluster.environment | {"PATH": path}
    listed = re.compile("^job ", re.MULTILINE)
    with output.open("w") as one, errors.open("w") as other:
        process = subprocess.Popen(words, stdout=one, stderr=other, cwd=project, env=environment)
        cluster.wait_for(lambda: process.poll() is not None or listed.search(output.read_text()))
        during()
        code = process.wait(300)
    return subprocess.CompletedProcess(words, code, output.read_text(), errors.read_text())
