"""The profiles that cannot be tried on their sites: what they share, and that they say what is sent to Slurm."""

import pytest

from conftest import ROOT
from mnist_hpc.cluster.profile import Profile
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError
from mnist_hpc.study.config import read_yaml
from mnist_hpc.study.specification import Study

SITES = ["slurm", "bridges2", "delta", "perlmutter", "vista", "anvil"]
# What may differ from profiles/slurm: what is requested, and how often the site may be asked.
OWN = {"default-resources", "set-resources", "jobs"}
OWN_OF = {"vista": {"seconds-between-status-checks"}}
# Sites whose GPUs are not supported.
WITHOUT_GPUS = {"vista"}


@pytest.fixture(scope="module")
def study():
    return Study.read(ROOT / "config.yaml")


@pytest.mark.parametrize("site", SITES)
def test_every_cluster_profile_asks_for_gpus_signals_and_retries(site, study):
    profile = Profile(ROOT / "profiles" / site)
    own = OWN | OWN_OF.get(site, set())
    general = Profile(ROOT / "profiles/slurm")
    assert {key: value for key, value in profile.settings.items() if key not in own} == {
        key: value for key, value in general.settings.items() if key not in own
    }
    gpus = 0 if site in WITHOUT_GPUS else 1
    assert profile.of_rule("train").get("require_gpu", 0) == profile.of_rule("sweep").get("require_gpu", 0) == gpus
    for request in profile.requests(study):
        assert request.option("account")
        assert "--signal=TERM@120" in request.options
        assert request.gpus == gpus
        assert "mnist-slurm-array-jobs" not in profile.settings


@pytest.mark.parametrize("site", SITES)
def test_a_profile_says_first_what_it_was_tried_on_and_where_its_facts_are_from(site):
    head = (ROOT / "profiles" / site / "config.yaml").read_text().partition("default-resources:")[0]
    if site != "slurm":
        assert "NOT TRIED AT THE SITE" in head
        assert "https://" in head
    assert ("GPU NOT SUPPORTED YET" in head.splitlines()[0]) == (site in WITHOUT_GPUS)


@pytest.mark.parametrize("site", SITES)
def test_what_stands_together_in_a_profile_begins_with_a_comment(site):
    for entries in (ROOT / "profiles" / site / "config.yaml").read_text().split("\n\n"):
        assert entries.startswith(("#", "default-resources")), f"no comment above {entries}"


def test_local_profile_runs_jobs_here():
    assert "executor" not in read_yaml(ROOT / "profiles/local/config.yaml")


def test_vista_is_asked_for_whole_nodes_only(study):
    (request, *_) = Profile(ROOT / "profiles/vista").requests(study)
    words = [text for text in request.arguments if not text.startswith(("--signal", "--time"))]
    assert words == ["--account=PROJECT", "--partition=gg", "--nodes=1", "--ntasks=1"]


def test_bridges2_leaves_memory_to_the_gpu(study):
    for request in Profile(ROOT / "profiles/bridges2").requests(study):
        assert "--gpus-per-node=v100-32:1" in request.arguments
        assert not any(text.startswith("--mem") for text in request.arguments)


@pytest.mark.parametrize(
    ("written", "minutes", "mem_mb"),
    [("runtime=90\n  - mem_mb=4000", 90, 4000), ("runtime=2h\n  - mem=4GB", 120, 4000), ("runtime=1d", 1440, 0)],
)
def test_resources_are_written_as_snakemake_accepts_them(tmp_path, written, minutes, mem_mb):
    (tmp_path / "config.yaml").write_text(f"executor: mnist-slurm\ndefault-resources:\n  - {written}\n")
    request = Request.of(Profile(tmp_path).defaults, 1)
    assert (request.runtime, request.mem_mb) == (minutes, mem_mb)


@pytest.mark.parametrize("written", ["runtime=soon", "mem_mb=much"])
def test_a_resource_that_is_no_number_is_an_error_that_names_it(tmp_path, written):
    (tmp_path / "config.yaml").write_text(f"executor: mnist-slurm\nset-resources:\n  - train:{written}\n")
    name, _, value = written.partition("=")
    with pytest.raises(UserError, match=f"{name}: found '{value}', expected a number of"):
        Profile(tmp_path)
