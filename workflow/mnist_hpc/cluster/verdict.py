"""Whether Slurm would accept a job, and whether it would ever start."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from mnist_hpc.cluster import partitions, reasons, slurm
from mnist_hpc.cluster.limits import Limit, Limits
from mnist_hpc.cluster.partitions import Partition
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError
from mnist_hpc.tables.text import counted

SKIP = "if this check is wrong, skip it with mnist-slurm-no-check: true in the profile"
NO_NODE = re.compile(r"node configuration is not available|nodes? (required )?.*(DOWN|DRAINED|busy)", re.IGNORECASE)
# What to check if Slurm's answer has these words: an entry of the profile, and how to see what is valid.
HINTS = {
    "feature": ("constraint", "`sinfo -o '%P %f'` lists the features of the nodes"),
    "reservation": ("mnist-slurm-reservation and slurm_extra", "`scontrol show reservation` lists them"),
    "gres|node configuration": (
        "slurm_extra",
        "`sinfo -o '%P %G %c %m'` shows the GPUs, CPUs and memory of the nodes",
    ),
    r"not available \(inactive or drain\)": ("slurm_partition", "the site has closed it; wait, or use another"),
    "MaxWall|time limit": (
        "runtime",
        "`sinfo -s` and `sacctmgr show qos format=name,maxwall` show the limits",
    ),
    r"\bqos\b(?! policy)": ("qos", "`sacctmgr show assoc user=$USER format=qos` lists yours"),
    r"\baccount\b": ("slurm_account", "`sacctmgr show assoc user=$USER format=account` lists yours"),
    "partition": ("slurm_partition", "`sinfo -s` lists them"),
    "memory": ("mem_mb of the variant", "`sinfo -o '%P %m'` shows the memory of the nodes"),
}
# What to write instead of an option that the Slurm plugin forbids in slurm_extra, by its name there.
INSTEAD = {
    "generic resources (GRES)": "--gpus-per-node=… in slurm_extra",
    "GPU allocation": "--gpus-per-node=… in slurm_extra",
    "account": "slurm_account",
    "partition": "slurm_partition",
    "memory": "mem_mb of the variant",
    "memory per CPU": "mem_mb_per_cpu",
    "number of tasks": "tasks",
    "tasks per GPU": "tasks_per_gpu",
    "CPUs per task": "cpus_per_task",
    "CPUs per GPU": "cpus_per_gpu",
    "runtime/time limit": "runtime of the variant",
    "node constraints": "constraint",
    "quality of service": "qos",
    "number of nodes": "nodes",
    "cluster specification": "slurm_cluster",
}


@dataclass
class Verdict:
    """What is wrong with a request.

    Attributes:
        error: Why Slurm would refuse it or never start the job; None if it would run.
        warnings: Why the job may wait for long.
    """

    error: str | None = None
    warnings: list[str] = field(default_factory=list)


class Site:
    """What the cluster offers; everything is asked once, and only if it is needed."""

    @cached_property
    def partitions(self) -> dict[str, Partition]:
        """All partitions, by name."""
        return partitions.known()

    @cached_property
    def limits(self) -> Limits:
        """The limits of the user's accounts."""
        return Limits()


def examine(request: Request, site: Site, jobs: int = 1) -> Verdict:
    """Return what is wrong with a request that a number of jobs make."""
    if error := forbidden(request) or _too_long(request, site):
        return Verdict(error)
    verdict = Verdict()
    for partition in partitions.of_request(request, site.partitions):
        if partition.state == "down":
            verdict.warnings.append(f"partition {partition.name} is down; jobs wait until the site opens it again")
        limit = site.limits.jobs(request, partition.name)
        if limit and limit.value < jobs:
            verdict.warnings.append(
                f"{limit.owner} allows at most {counted(limit.value, 'job')} in the queue at a time; the others wait"
            )
    if used := site.limits.used_up(request):
        verdict.warnings.append(f"{used}; jobs may wait until the site grants more")
    try:
        slurm.ask("sbatch", "--test-only", *request.arguments, "--wrap=true")
    except UserError as error:
        _judge(str(error).replace("allocation failure: ", ""), request, site, verdict)
    return verdict


def _judge(answer: str, request: Request, site: Site, verdict: Verdict) -> None:
    """Add what Slurm's refusal to test a job means: an error, or a warning where Slurm would queue the real one."""
    limit = answer.partition(reasons.POLICY)[0].strip("; ")
    if limit and reasons.passes(answer):
        verdict.warnings.append(f"Slurm accepts no job now ({answer}); jobs are submitted when it does")
        return
    hint = _hint(answer, request, site)
    found = partitions.of_request(request, site.partitions)
    if NO_NODE.search(answer) and found:
        missing = [partitions.lacking(request, partition) for partition in found]
        names = " and ".join(partition.name for partition in found)
        if None not in missing:
            hint = f"{missing[0]}; {hint}; {SKIP}"
        elif any(partition.state == "down" for partition in found):
            return  # there is a warning already
        elif not any(partitions.is_open(request, partition.nodes) for partition in found):
            verdict.warnings.append(
                f"the nodes of {names} that could run `{request}` are down, drained or reserved, such as for "
                "maintenance; jobs wait until they are back"
            )
            return
        else:
            hint += f"; {SKIP}"
    verdict.error = f"Slurm refuses {request}: {answer}; {hint}".removesuffix("; ")


def _hint(answer: str, request: Request, site: Site) -> str:
    """Return which entry of the profile to check after a refusal, and what is valid; empty if it is not known."""
    answer = answer.partition(reasons.POLICY)[0] or answer
    found = (pair for pattern, pair in HINTS.items() if re.search(pattern, answer, re.IGNORECASE))
    key, hint = next(found, ("", ""))
    names = {"slurm_account": site.limits.accounts, "qos": site.limits.qos_of(request)}.get(key)
    if names:
        hint = f"yours: {', '.join(names)}"
    return f"check {key} in the profile: {hint}" if key else ""


def forbidden(request: Request) -> str | None:
    """Return which option in ``slurm_extra`` the Slurm plugin would refuse, and what to write instead; None if none."""
    from snakemake_executor_plugin_slurm.validation import get_forbidden_slurm_options

    for pattern, name in get_forbidden_slurm_options().items():
        if match := re.search(pattern, request.extra):
            instead = f"write {INSTEAD[name]}" if name in INSTEAD else "delete it: the workflow sets it"
            return f"slurm_extra: found {match[0].strip(' =')} ({name}), which Snakemake refuses there; {instead}"
    return None


def _too_long(request: Request, site: Site) -> str | None:
    """Return what to do about a time limit above what is allowed: many clusters accept such a job and never run it."""
    found = []
    for partition in partitions.of_request(request, site.partitions):
        allowed = [site.limits.minutes(request, partition.name)]
        if partition.minutes is not None and not site.limits.lifts_time_limit(request, partition.name):
            allowed.append(Limit(f"partition {partition.name}", partition.minutes))
        exceeded = [limit for limit in allowed if limit and limit.value < request.runtime]
        if not exceeded:
            return None
        least = min(exceeded, key=lambda limit: limit.value)
        found.append(f"{least.owner} allows {counted(least.value, 'minute')}")
    if not found:
        return None
    return (
        f"{' and '.join(dict.fromkeys(found))} and a job requests {request.runtime} (its training and evaluation "
        f"together); lower the variant's runtime: the training continues in the next job; {SKIP}"
    )
