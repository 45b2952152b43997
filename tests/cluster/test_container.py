"""Jobs in a site's container; a stand-in for Apptainer runs them with the options that it is given."""

import os
import sys

import pandas as pd
import pytest

from conftest import snakemake

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


@pytest.mark.parametrize("runner", ["apptainer", "singularity"])
def test_training_and_evaluation_run_in_the_container_and_nothing_else_does(runner, project, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / runner).write_text(STAND_IN.format(python=sys.executable))
    (folder / runner).chmod(0o755)
    image = tmp_path / "the site's image.sif"
    image.touch()
    environment = {"MNIST_HPC_CONTAINER": str(image), "PATH": f"{folder}:{os.environ['PATH']}"}
    result = snakemake(project, "--until", "tabulate", **environment)
    assert result.returncode == 0, result.stdout
    assert set(pd.read_csv(project / "results/digits/tables/runs.csv")["status"]) == {"ok"}
    calls = (folder / "calls").read_text().splitlines()
    assert sorted(call.partition("-m mnist_hpc ")[2].split()[0] for call in calls) == ["evaluate"] * 2 + ["train"] * 2
    for call in calls:
        assert call.startswith("exec --nv --bind ")
        assert f" --bind {project} " in call
        assert f" {image} python " in call


def test_a_container_that_is_no_file_is_refused_before_any_job(project):
    result = snakemake(project, MNIST_HPC_CONTAINER="nowhere.sif")
    assert result.returncode == 2
    assert "MNIST_HPC_CONTAINER: nowhere.sif does not exist; correct the variable, or unset it" in result.stdout
