"""The workflow through profiles/slurm on a real, private Slurm with accounting and fake GPUs."""

import os

import pandas as pd
import pytest
from cluster import missing, running

from conftest import snakemake

reason = missing()
if reason and os.environ.get("REQUIRE_SLURM") == "1":
    raise RuntimeError(f"REQUIRE_SLURM=1, and {reason}")
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))

# What legitimately differs between two runs of one study.
DIFFER = ["train_seconds", "images_per_second", "compile_seconds", "started", "finished", "host", "commit"]


@pytest.fixture(scope="module")
def cluster():
    with running() as started:
        yield started


def runs(project):
    return pd.read_csv(project / "results/digits/tables/runs.csv")


def test_slurm_gives_the_tables_of_this_machine_and_each_block_is_one_job_with_a_gpu(cluster, project):
    # The GPUs of this cluster are no GPUs: the trainings must not insist on one.
    result = snakemake(project, "--set-resources", "train:require_gpu=0", profile="slurm", **cluster.environment)
    assert result.returncode == 0, result.stdout
    through_slurm = runs(project)
    jobs = cluster.run("sacct", "-X", "-n", "-P", "-o", "JobName,State,AllocTRES").splitlines()
    assert len(jobs) == 2
    for job in jobs:
        assert job.startswith("mnist_")
        assert "|COMPLETED|" in job
        assert "gres/gpu=1" in job

    assert "Nothing to be done" in snakemake(project).stdout
    result = snakemake(project, "--forceall")
    assert result.returncode == 0, result.stdout
    pd.testing.assert_frame_equal(runs(project).drop(columns=DIFFER), through_slurm.drop(columns=DIFFER))


def test_a_job_that_sees_no_gpu_fails_with_the_reason(cluster, project):
    result = snakemake(
        *(project, "--retries", "0", "results/circle/runs/circle/seeds-0-1/models.h5"),
        profile="slurm",
        **cluster.environment,
    )
    assert result.returncode == 1
    assert "mnist_hpc: error: a GPU is required and TensorFlow sees none on" in result.stdout
    # Slurm gave the job a GPU, and said so to the program.
    assert "(CUDA_VISIBLE_DEVICES is 0," in result.stdout
    assert not (project / "results/circle/runs/circle/seeds-0-1/models.h5").exists()
