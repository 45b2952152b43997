"""Checks before jobs are submitted: would Slurm accept them, does a job do this work already, what will it cost."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mnist_hpc.cluster import main_process, slurm, times
from mnist_hpc.cluster.request import Request
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import Work

Planned = tuple[Request, Work]


def check(planned: Iterable[Planned], results: Path, folder: Path) -> str:
    """Return a summary of the jobs and their cost, as text.

    Args:
        planned: Request of each job, and the block or part it works on.
        results: Folder of all results.
        folder: Folder in which the workflow runs.

    Raises:
        UserError: Slurm would refuse or never start a job, or an earlier main process left a job that does this work.
    """
    planned = list(planned)
    works = {work for _, work in planned}
    if busy := [f"{job}, {work}" for job, work in main_process.jobs_of(folder).items() if work in works]:
        raise UserError(
            f"{len(busy)} jobs of an earlier main process still do this work, such as {busy[0]}; "
            "`make resume PROFILE=…` waits for them, cancels or adopts them"
        )
    requests = Counter(request for request, _ in planned)
    for request in requests:
        if reason := refusal(request):
            raise UserError(reason)
    lines = [f"{count} jobs: {request}" for request, count in requests.items()]
    gpu_hours = sum(request.gpus * request.runtime / 60 for request, _ in planned)
    cost = f"At most {gpu_hours:.1f} GPU-hours if every job uses its whole time limit once"
    known = [(request.gpus or 1, times.expected_seconds(work, results)) for request, work in planned]
    seconds = [gpus * value for gpus, value in known if value is not None]
    if seconds:
        cost += f"; expected {sum(seconds) / 3600:.2g}, from the recorded times of {len(seconds)} of {len(known)} jobs"
    return "\n".join([*lines, f"{cost}."])


def refusal(request: Request) -> str | None:
    """Return on one line why Slurm would not run a job, or None if it would."""
    try:
        slurm.ask("sbatch", "--test-only", *request.arguments, "--wrap=true")
        return _too_long(request)
    except UserError as error:
        text = str(error).removeprefix("allocation failure: ")
    hints = {
        "account": ("slurm_account", "`sacctmgr show assoc user=$USER format=account` lists yours"),
        "partition": ("slurm_partition", "`sinfo -s` lists them"),
        "node configuration": ("slurm_extra", "`sinfo -o '%P %G %c %m'` shows the GPUs, CPUs and memory of the nodes"),
        "time limit": ("runtime", "`sinfo -s` shows the limits"),
        "qos": ("qos", "`sacctmgr show assoc user=$USER format=qos` lists yours"),
    }
    for word, (key, hint) in hints.items():
        if word in text.lower():
            return f"Slurm refuses {request}: {text}; check {key} in the profile: {hint}"
    return f"Slurm refuses {request}: {text}"


def _too_long(request: Request) -> str | None:
    """Return what to do about a time limit above the partition's: many clusters accept such a job and never run it."""
    partition = request.option("partition")
    limit = slurm.ask("sinfo", "--noheader", *([f"--partition={partition}"] if partition else []), "--format=%l")
    allowed = minutes(limit.splitlines()[0].strip()) if limit else None
    if allowed is None or request.runtime <= allowed:
        return None
    return (
        f"{partition or 'the default partition'} allows {allowed} minutes and a job requests {request.runtime} "
        "(its training and evaluation together); lower the variant's runtime: the training continues in the next job"
    )


def minutes(text: str) -> int | None:
    """Convert a time limit of Slurm, [days-][hours:]minutes:seconds, to minutes; None for no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if not match:
        return None
    days, hours, mins, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + mins
