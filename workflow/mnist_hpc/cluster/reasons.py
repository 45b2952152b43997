"""Slurm's reasons for not running a job, and what to do about them.

The names are those of Slurm's own tables of errors and job reasons (slurm_errno.c, slurm_protocol_defs.c).
"""

import re

# A refused submission that will be accepted later: a limit on the number of jobs, or a controller that does not answer.
PASSING = re.compile(
    r"submit ?(?:jobs? ?)?limit|MaxSubmit|GrpSubmit|MaxJobCount|Unable to create job record, try again"
    r"|Socket timed out|Unable to contact slurm controller|standby mode|temporarily unable|Zero Bytes were transmitted"
    r"|Message (?:send|receive) failure|Communication \w+ failure|Unexpected message received|Connection refused"
    r"|Resource temporarily unavailable|Slurm internal error|Protocol authentication error|try again",
    re.IGNORECASE,
)
# What Slurm calls a violated limit, whichever it is; the line before it names the limit if the site shows it.
POLICY = "Job violates accounting/QOS policy"
# Reasons that pass by themselves, for readers who do not know Slurm's words.
NORMAL = {
    "Priority": "other jobs come first",
    "Resources": "no node is free",
    "None": "just submitted",
    "Dependency": "it waits for another job",
    "BeginTime": "Slurm starts it again soon",
    "ReqNodeNotAvail": "nodes are reserved, such as for maintenance, or down",
    "Reservation": "nodes are reserved, such as for maintenance",
    "QOSMaxJobsPerUserLimit": "you have as many running jobs as the QOS allows",
    "AssocMaxJobsLimit": "you have as many running jobs as your account allows",
    "AssocGrpJobsLimit": "your account has as many running jobs as it may",
    "QOSMaxGRESPerUser": "you use as many GPUs as the QOS allows",
    "AssocGrpGRES": "your account uses as many GPUs as it may",
    "NodeDown": "its node is down",
}
# Reasons that do not pass by themselves: a pattern for the whole reason, and what to do.
STUCK = {
    r"(QOS|Assoc)MaxWallDurationPerJobLimit|PartitionTimeLimit|AssociationTimeLimit": (
        "the time limit is above what is allowed; lower the variant's runtime (the training continues in the next job) "
        "or use another QOS or partition"
    ),
    r"(Assoc|QOS)Grp(?!\w*RunMinutes)\w*Minutes(Limit)?|(Assoc|QOS)GrpWallLimit|(Assoc|QOS)Max\w*MinutesPerJob(Limit)?"
    r"|QOSUsageThreshold": (
        "the account's hours are used up, or do not suffice for this time limit; use another account, ask for more, or "
        "lower the variant's runtime"
    ),
    r"(Assoc|QOS)(Max|Min)\w*(PerJob|PerNode)(Limit)?|(Assoc|QOS)Min\w*|AssociationResourceLimit|PartitionNodeLimit"
    r"|MaxMemPerLimit|MaxCpuPerNode": (
        "it requests more, or less, than one job may have; change the request in the profile"
    ),
    r"JobHeldUser": "it was held; `scontrol release` lets it go",
    r"JobHeldAdmin|JobHoldMaxRequeue|launch failed requeued held|job requeued in held state|SpecialExit": (
        "Slurm holds it, often because a node failed to start it; `scontrol release` tries again"
    ),
    r"BadConstraints|NodesNotAvail": "no node can ever satisfy it; correct constraint and GPU type in the profile",
    r"Partition(Down|Inactive)": "the partition does not start jobs; use another, or ask the site until when",
    r"DependencyNeverSatisfied": "a job that it depends on failed; cancel it with `scancel`",
    r"Invalid(Account|QOS)|(Account|QOS)NotAllowed|AccountNotAllowed": (
        "account or QOS is not allowed here; correct the profile, or ask the site"
    ),
    r"ReservationDeleted": "its reservation was deleted; correct the profile and submit it again",
    r"DeadLine": "its deadline cannot be met; cancel it with `scancel`",
}


def passes(refusal: str) -> bool:
    """Return whether sbatch, which refused with this text, may accept the same job later."""
    limit, policy, _ = refusal.partition(POLICY)
    if not policy:
        return bool(PASSING.search(refusal))
    # Where the site does not name the limit, it is the number of jobs: Slurm was asked before about all others.
    limit = limit.replace("Batch job submission failed:", "").strip("; ")
    return not limit or bool(PASSING.search(limit))


def advice(reason: str) -> str | None:
    """Return what to do about the reason of a waiting job; None if it starts when its turn has come."""
    plain = reason.replace("_", " ")
    return next((text for pattern, text in STUCK.items() if re.fullmatch(pattern, plain, re.IGNORECASE)), None)


def explained(reason: str) -> str:
    """Return a reason with its meaning, if it is one of the common ones."""
    word = reason.partition(",")[0]
    return f"{reason}: {NORMAL[word]}" if word in NORMAL else reason
