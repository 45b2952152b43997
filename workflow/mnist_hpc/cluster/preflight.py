"""What is looked at before jobs are submitted: would Slurm take them, who is at it already, what will it cost."""

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
    """Return what the jobs are and what they cost, as text.

    Args:
        planned: what each job asks for, and what it works on.
        results: the folder ``results``.
        folder: that the workflow runs in.

    Raises:
        UserError: Slurm would refuse or never start a job, or a job of an earlier main process is at the same work.
    """
    planned = list(planned)
    works = {work for _, work in planned}
    if busy := [job for job in slurm.jobs_of(folder) if job.work in works]:
        raise UserError(
            f"{len(busy)} jobs of an earlier main process are still at this work, as {busy[0]}; "
            "`make resume PROFILE=…` waits for them, cancels or adopts them"
        )
    requests = Counter(request for request, _ in planned)
    for request in requests:
        if reason := slurm.refusal(request):
            raise UserError(reason)
    lines = [f"{count} jobs: {request}" for request, count in requests.items()]
    gpu_hours = sum(request.gpus * request.runtime / 60 for request, _ in planned)
    cost = f"At most {gpu_hours:.1f} GPU-hours if every job needs its whole time limit, once"
    known = [(request.gpus or 1, expected_seconds(work, results)) for request, work in planned]
    seconds = [gpus * value for gpus, value in known if value is not None]
    if seconds:
        cost += f"; expected {sum(seconds) / 3600:.2g}, by the recorded times of {len(seconds)} of {len(known)} jobs"
    return "\n".join([*lines, f"{cost}."])


def expected_seconds(work: Work, results: Path) -> float | None:
    """Return how long a block will train by the recorded times of its variant, or None if there are none."""
    if not isinstance(work, Block):
        return None
    recorded = []
    for path in sorted((results / work.dataset / "runs" / work.variant).glob("*/metrics.csv")):
        with path.open(newline="") as file:
            recorded += [float(row["train_seconds"]) for row in csv.DictReader(file) if row.get("train_seconds")]
    return len(work.seeds) * sum(recorded) / len(recorded) if recorded else None
