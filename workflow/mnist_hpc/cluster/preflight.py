"""Checks before jobs are submitted: would Slurm accept them, does a job do this work already, what will it cost."""

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mnist_hpc.cluster import slurm
from mnist_hpc.cluster.slurm import Request
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import Block, Work

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
    if busy := [job for job in slurm.jobs_of(folder) if job.work in works]:
        raise UserError(
            f"{len(busy)} jobs of an earlier main process still do this work, such as {busy[0]}; "
            "`make resume PROFILE=…` waits for them, cancels or adopts them"
        )
    requests = Counter(request for request, _ in planned)
    for request in requests:
        if reason := slurm.refusal(request):
            raise UserError(reason)
    lines = [f"{count} jobs: {request}" for request, count in requests.items()]
    gpu_hours = sum(request.gpus * request.runtime / 60 for request, _ in planned)
    cost = f"At most {gpu_hours:.1f} GPU-hours if every job uses its whole time limit once"
    known = [(request.gpus or 1, expected_seconds(work, results)) for request, work in planned]
    seconds = [gpus * value for gpus, value in known if value is not None]
    if seconds:
        cost += f"; expected {sum(seconds) / 3600:.2g}, from the recorded times of {len(seconds)} of {len(known)} jobs"
    return "\n".join([*lines, f"{cost}."])


def expected_seconds(work: Work, results: Path) -> float | None:
    """Estimate the training time of a block from recorded times of its variant; None if there are none."""
    if not isinstance(work, Block):
        return None
    recorded = []
    for path in sorted((results / work.dataset / "runs" / work.variant).glob("*/metrics.csv")):
        with path.open(newline="") as file:
            recorded += [float(row["train_seconds"]) for row in csv.DictReader(file) if row.get("train_seconds")]
    return len(work.seeds) * sum(recorded) / len(recorded) if recorded else None
