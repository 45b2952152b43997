"""What sinfo says about partitions and their nodes."""

import pytest

from mnist_hpc.cluster import partitions, slurm
from mnist_hpc.cluster.request import Request

# As `sinfo` prints it; the default partition is not the first one.
SINFO = """\
cpu|up|1-00:00:00|10|idle|(null)|128|256000|(null)
gpu*|up|2-00:00:00|3|drained*|gpu:v100:4(S:0-1)|40|190000|volta,nvme
gpu*|up|2-00:00:00|1|mixed-|gpu:a100:8|64|500000+|ampere
long|inact|infinite|1|idle~|gpu:a100:8|64|500000|ampere
"""


@pytest.fixture
def known(monkeypatch):
    """Return the partitions of a site that this machine cannot be."""
    monkeypatch.setattr(slurm, "ask", lambda *_: SINFO)
    return partitions.known()


def of(extra, **resources):
    return Request.of({"slurm_extra": extra} | resources, 1)


def test_the_default_partition_is_the_one_that_is_marked(known):
    assert known[""].name == "gpu"
    assert [partition.minutes for partition in known.values()] == [1440, 2880, 2880, None]
    assert [found.name for found in partitions.of_request(of("", slurm_partition="long,cpu"), known)] == ["long", "cpu"]
    assert partitions.of_request(of("", slurm_partition="hidden"), known) == []


def test_the_name_of_a_cluster_is_not_a_partition(known, monkeypatch):
    monkeypatch.setattr(slurm, "ask", lambda *_: f"CLUSTER: bridges\n{SINFO}")
    assert partitions.known() == known


@pytest.mark.parametrize(
    ("request_", "lacking", "open_"),
    [
        (of("--gpus-per-node=v100:4"), None, False),
        (of("--gpus-per-node=a100:8"), None, True),
        (of("--gpus-per-node=2"), None, True),
        (of("--gpus-per-node=h100:1"), "no node of gpu has 1 GPU h100 (GPU types: a100, v100)", False),
        (of("--gpus-per-node=v100:5"), "no node of gpu has 5 GPUs v100 (GPU types: a100, v100)", False),
        (of("--gpus-per-node=1", nodes=5), "fewer than 5 nodes of gpu have 1 GPU (GPU types: a100, v100)", False),
        (of("--gpus=v100:8", nodes=2), None, False),
        (of("", mem_mb=600000), "no node of gpu has 600000 MB of memory", False),
        (of("", cpus_per_task=65), "no node of gpu has 65 CPUs", False),
        (of("", constraint="hopper"), "no node of gpu has the feature hopper", False),
        (of("", constraint="volta&nvme"), None, False),
        (of("", constraint="hopper|ampere"), None, True),
        (
            of("--gpus-per-node=v100:1", constraint="ampere"),
            "no node of gpu has 1 GPU v100 and 1 CPU and the feature ampere together",
            False,
        ),
    ],
)
def test_a_node_that_is_drained_counts_for_what_there_is_but_is_not_open(known, request_, lacking, open_):
    assert partitions.lacking(request_, known["gpu"]) == lacking
    assert partitions.is_open(request_, known["gpu"].nodes) == open_


@pytest.mark.parametrize(
    ("constraint", "satisfied"),
    [
        *(("a", True), ("a&b", True), ("a,c", False), ("c|b", True), ("c|d", False)),
        ("[rack1|rack2]", True),  # more than words is left to Slurm
        ("a*4", True),
    ],
)
def test_features_satisfy_constraints(constraint, satisfied):
    assert partitions.satisfies(frozenset({"a", "b"}), constraint) == satisfied


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30:00", 30), ("1:30:00", 90), ("2-00:00:00", 2880), ("infinite", None), ("", None), ("n/a", None)],
)
def test_limits_of_slurm_are_minutes(text, minutes):
    assert partitions.minutes(text) == minutes
