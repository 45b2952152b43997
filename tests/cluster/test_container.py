"""Jobs in a site's container; a stand-in for Apptainer runs them with the options that it is given."""

import itertools
import os
import sys

import pandas as pd
import pytest
from planner import dry_run

from conftest import REGRESSION_STUDY, ROOT, UNTIL_TABLES, snakemake
from mnist_hpc.cluster import container
from mnist_hpc.errors import UserError

# Notes its arguments, sets the variables of --env, and runs what comes after the image with this Python.
STAND_IN = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/calls"
[ "$1" = exec ] || exit 1
while [ "$1" != python ]; do
    if [ "$1" = --env ]; then export "$2"; fi
    shift
done
shift
exec '{python}' "$@"
"""


@pytest.fixture
def image(tmp_path):
    image = tmp_path / "the site's image.sif"
    image.touch()
    return image


def test_without_a_container_jobs_start_the_python_of_the_environment(monkeypatch):
    monkeypatch.delenv(container.VARIABLE, raising=False)
    assert container.python("/env/bin/python") == ["/env/bin/python"]


@pytest.mark.parametrize("runner", ["apptainer", "singularity"])
def test_the_container_gets_the_package_the_gpus_and_the_folders(runner, image, tmp_path, monkeypatch):
    (tmp_path / runner).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(container.VARIABLE, str(image))
    monkeypatch.chdir(tmp_path)
    command = container.python("/env/bin/python")
    assert command[:3] == [str(tmp_path / runner), "exec", "--nv"]
    assert command[-2:] == [str(image), "python"]
    pairs = list(itertools.pairwise(command))
    for pair in (("--bind", str(tmp_path)), ("--env", f"PYTHONPATH={ROOT / 'workflow'}")):
        assert pair in pairs


def test_an_image_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setenv(container.VARIABLE, "nowhere.sif")
    with pytest.raises(UserError, match=r"MNIST_HPC_CONTAINER: nowhere\.sif does not exist"):
        container.image()


def test_a_container_that_does_not_exist_is_refused_before_any_job(project):
    result = dry_run(project, MNIST_HPC_CONTAINER="nowhere.sif")
    assert result.returncode == 2
    assert "MNIST_HPC_CONTAINER: nowhere.sif does not exist; correct the variable, or unset it" in result.stdout


@pytest.mark.slow
def test_training_and_evaluation_run_in_the_container_and_nothing_else_does(project, image, tmp_path):
    (project / "config.yaml").write_text(REGRESSION_STUDY)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apptainer").write_text(STAND_IN.format(python=sys.executable))
    (folder / "apptainer").chmod(0o755)
    environment = {"MNIST_HPC_CONTAINER": str(image), "PATH": f"{folder}:{os.environ['PATH']}"}
    result = snakemake(project, *UNTIL_TABLES, trains=False, **environment)
    assert result.returncode == 0, result.stdout
    assert set(pd.read_csv(project / "results/digits/tables/runs.csv")["status"]) == {"ok"}
    calls = (folder / "calls").read_text().splitlines()
    assert [call.partition("-m mnist_hpc ")[2].split()[0] for call in calls] == ["train", "evaluate", "perturb"]
    for call in calls:
        assert call.startswith("exec --nv --bind ")
        assert f" --bind {project} " in call
        assert f" {image} python " in call
