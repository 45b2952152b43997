"""What Slurm says about jobs that it refuses or does not start; the texts are Slurm's own (slurm_errno.c, squeue)."""

import pytest

from mnist_hpc.cluster import reasons
from mnist_hpc.cluster.slurm import Job
from mnist_hpc.cluster.waiting import Waiting
from mnist_hpc.study.layout import Block

POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
FAILED = "Batch job submission failed: "


@pytest.mark.parametrize(
    "refusal",
    [
        f"AssocMaxSubmitJobLimit; {FAILED}{POLICY}",
        f"QOSMaxSubmitJobPerUserLimit; {FAILED}{POLICY}",
        f"AssocGrpSubmitJobsLimit; {FAILED}{POLICY}",
        f"{FAILED}{POLICY}",
        f"{FAILED}Socket timed out on send/recv operation",
        f"{FAILED}Unable to contact slurm controller (connect failure)",
        f"{FAILED}Slurm backup controller in standby mode",
        f"{FAILED}Zero Bytes were transmitted or received",
        f"{FAILED}Unable to create job record, try again",
        "Slurm temporarily unable to accept job, sleeping and retrying",
    ],
)
def test_a_refusal_that_passes_is_waited_for(refusal):
    assert reasons.passes(refusal)


@pytest.mark.parametrize(
    "refusal",
    [
        f"{FAILED}Invalid account or account/partition combination specified",
        f"invalid partition specified: nowhere; {FAILED}Invalid partition name specified",
        f"{FAILED}Requested node configuration is not available",
        f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)",
        f"{FAILED}Invalid qos specification",
        f"{FAILED}Invalid feature specification",
        f"QOSMaxWallDurationPerJobLimit; {FAILED}{POLICY}",
        f"AssocGrpCPUMinutesLimit; {FAILED}{POLICY}",
        f"Memory specification can not be satisfied; {FAILED}Requested node configuration is not available",
        "The --GPU-allocation option is not allowed in the 'slurm_extra' parameter.",
    ],
)
def test_a_refusal_that_stays_ends_the_job(refusal):
    assert not reasons.passes(refusal)


@pytest.mark.parametrize(
    ("reason", "what_to_do"),
    [
        ("QOSMaxWallDurationPerJobLimit", "lower the variant's runtime"),
        ("AssocMaxWallDurationPerJobLimit", "lower the variant's runtime"),
        ("PartitionTimeLimit", "lower the variant's runtime"),
        ("AssocGrpBillingMinutes", "another account"),
        ("AssocGrpCPUMinutesLimit", "another account"),
        ("QOSGrpGRESMinutes", "another account"),
        ("QOSMaxGRESPerJob", "change the request"),
        ("QOSMaxCpuPerJobLimit", "change the request"),
        ("launch failed requeued held", "scontrol release"),
        ("launch_failed_requeued_held", "scontrol release"),
        ("JobHeldUser", "scontrol release"),
        ("JobHeldAdmin", "scontrol release"),
        ("JobHoldMaxRequeue", "scontrol release"),
        ("BadConstraints", "correct constraint"),
        ("PartitionDown", "use another"),
        ("PartitionInactive", "use another"),
        ("DependencyNeverSatisfied", "scancel"),
        ("InvalidQOS", "correct the profile"),
        ("AccountNotAllowed", "correct the profile"),
    ],
)
def test_a_reason_that_does_not_pass_has_advice(reason, what_to_do):
    assert what_to_do in reasons.advice(reason)


@pytest.mark.parametrize(
    "reason",
    [
        *("Priority", "Resources", "None", "BeginTime", "Dependency", "Reservation", "QOSMaxJobsPerUserLimit"),
        *("AssocGrpGRES", "QOSMaxGRESPerUser", "AssocGrpCPURunMinutesLimit", "AssocMaxJobsLimit", "Licenses"),
        "ReqNodeNotAvail, UnavailableNodes:n1",
    ],
)
def test_a_reason_that_passes_has_none(reason):
    assert reasons.advice(reason) is None


def test_waiting_jobs_are_reported_with_their_reasons_once():
    block = Block("mnist", "cnn", 0, 4)
    stuck = Job("3", "PENDING", "PartitionDown")
    jobs = {Job("1", "PENDING", "Priority"): block, Job("2", "RUNNING", "None", "n1"): block, stuck: block}
    waiting = Waiting()
    warning, line = waiting.lines(jobs)
    assert "mnist cnn seeds 0 to 4: job 3 will not start (PartitionDown): " in warning
    assert line.endswith("waiting in the queue: 1 (Priority: other jobs come first), 1 (PartitionDown)")
    assert waiting.lines(jobs) == []
