"""What Slurm's answers mean, for answers that the private Slurm does not give; the texts are those of slurm_errno.c."""

import pytest
from snakemake_executor_plugin_slurm.validation import get_forbidden_slurm_options

from mnist_hpc.cluster import limits, partitions, slurm, verdict
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError

POLICY = "allocation failure: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
REQUEST = Request.of({"slurm_partition": "gpu", "slurm_extra": "--gpus-per-node=1", "runtime": 60}, 1)


@pytest.fixture
def answered(monkeypatch):
    """Return the verdict on a request that sbatch refuses with a text; nothing else of Slurm answers."""

    def verdict_on(text):
        def ask(*command, **_):
            if command[0] == "sinfo":
                return "gpu*|up|1-00:00:00|1|idle|gpu:v100:1|8|64000|(null)"
            raise UserError(text if command[0] == "sbatch" else "sacctmgr not found")

        for module in (slurm, partitions.slurm, limits.slurm):
            monkeypatch.setattr(module, "ask", ask)
        return verdict.examine(REQUEST, verdict.Site())

    return verdict_on


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("allocation failure: Job's QOS not permitted to use this partition (gpu allows a not b)", "check qos in the"),
        ("allocation failure: Job's account not permitted to use this partition (gpu allows a not b)", "slurm_account"),
        (
            "allocation failure: User's group not permitted to use this partition",
            "check slurm_partition in the",
        ),
        ("allocation failure: Invalid qos specification", "check qos in the profile: `sacctmgr show assoc"),
        ("allocation failure: Requested time limit is invalid (missing or exceeds some limit)", "check runtime in the"),
        (f"QOSMaxWallDurationPerJobLimit; {POLICY}", "check runtime in the profile"),
        ("allocation failure: Memory required by task is not available", "check mem_mb of the variant"),
        (f"The cake is a lie; {POLICY}", "The cake is a lie; Job violates accounting/QOS policy"),
        (POLICY, "Job violates accounting/QOS policy"),
        (
            "allocation failure: Requested node configuration is not available",
            "skip it with mnist-slurm-no-check",
        ),
    ],
)
def test_a_refusal_has_slurms_whole_answer_and_what_to_check(answered, text, hint):
    error = answered(text).error
    assert text.replace("allocation failure: ", "") in error
    assert hint in error


@pytest.mark.parametrize("text", [f"AssocMaxSubmitJobLimit; {POLICY}", "Socket timed out on send/recv operation"])
def test_a_refusal_that_passes_is_a_warning(answered, text):
    found = answered(text)
    assert found.error is None
    (warning,) = found.warnings
    assert text.replace("allocation failure: ", "") in warning


def test_every_option_that_the_slurm_plugin_forbids_is_found_with_what_to_write():
    options = get_forbidden_slurm_options()
    assert verdict.INSTEAD.keys() <= set(options.values())
    for pattern, name in options.items():
        option = pattern.partition("[")[0].partition("|")[0]
        found = verdict.forbidden(Request.of({"slurm_extra": f"'{option}=1'"}, 1))
        assert f"found {option} ({name}), which Snakemake refuses there; " in found
    assert verdict.forbidden(Request.of({"slurm_extra": "'--gpus-per-node=v100-32:1' '--signal=TERM@120'"}, 1)) is None
