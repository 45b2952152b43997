"""The profiles that cannot be tried on their sites: what they share, and that they say what is sent to Slurm."""

import itertools

import pytest

from conftest import ROOT
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.study.config import read_yaml
from mnist_hpc.study.specification import Study

SITES = ["slurm", "bridges2", "delta", "perlmutter", "vista", "anvil"]


@pytest.fixture(scope="module")
def study():
    return Study.read(ROOT / "config.yaml")


@pytest.mark.parametrize("site", SITES)
def test_every_cluster_profile_asks_for_gpus_signals_and_retries(site, study):
    profile = Profile(ROOT / "profiles" / site)
    own = {"default-resources", "set-resources", "jobs"}
    general = Profile(ROOT / "profiles/slurm")
    assert {key: value for key, value in profile.settings.items() if key not in own} == {
        key: value for key, value in general.settings.items() if key not in own
    }
    assert profile.of_rule("train")["require_gpu"] == 1
    for request in profile.requests(study):
        assert request.option("account")
        assert "--signal=TERM@120" in request.options
        assert request.gpus == (0 if site == "vista" else 1)
        assert "mnist-slurm-array-jobs" not in profile.settings


@pytest.mark.parametrize("site", SITES)
def test_every_entry_of_a_profile_has_a_comment(site):
    lines = (ROOT / "profiles" / site / "config.yaml").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if line and not line.startswith(("#", " ", "default-resources")):
            assert before, f"{line}: no comment above"


def test_local_profile_runs_jobs_here():
    assert "executor" not in read_yaml(ROOT / "profiles/local/config.yaml")


def test_vista_is_asked_for_whole_nodes_only(study):
    (request, *_) = Profile(ROOT / "profiles/vista").requests(study)
    words = [text for text in request.arguments if not text.startswith(("--signal", "--time"))]
    assert words == ["--account=PROJECT", "--partition=gh", "--nodes=1", "--ntasks=1"]


def test_bridges2_leaves_memory_to_the_gpu(study):
    for request in Profile(ROOT / "profiles/bridges2").requests(study):
        assert "--gpus-per-node=v100-32:1" in request.arguments
        assert not any(text.startswith("--mem") for text in request.arguments)
