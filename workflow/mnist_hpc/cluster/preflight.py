"""Checks before jobs are submitted: would Slurm accept them, does a job do this work already, what will it cost."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mnist_hpc.cluster import main_process, times
from mnist_hpc.cluster.request import Request
from mnist_hpc.cluster.verdict import Site, examine
from mnist_hpc.errors import UserError
from mnist_hpc.study.layout import Work
from mnist_hpc.tables.text import counted

Planned = tuple[Request, Work]


def check(planned: Iterable[Planned], results: Path, folder: Path) -> str:
    """Return a summary of the jobs and their cost, with warnings about jobs that may wait for long, as text.

    Args:
        planned: Request of each job, and the block or part it works on.
        results: Folder of all results.
        folder: Folder in which the workflow runs.

    Raises:
        UserError: Slurm would refuse or never start a job, or an earlier main process left a job that does this work.
    """
    planned = list(planned)
    works = {work for _, work in planned}
    main_process.refuse_left({job: work for job, work in main_process.jobs_of(folder).items() if work in works})
    requests = Counter(request for request, _ in planned)
    site, warnings = Site(), []
    for request in requests:
        verdict = examine(request, site, len(planned))
        if verdict.error:
            raise UserError(verdict.error)
        warnings += verdict.warnings
    lines = [f"{counted(count, 'job')}: {request}" for request, count in requests.items()]
    gpu_hours = sum(request.gpus * request.runtime / 60 for request, _ in planned)
    cost = f"At most {gpu_hours:.1f} GPU-hours if every job uses its whole time limit once"
    known = [(request.gpus or 1, times.expected_seconds(work, results)) for request, work in planned]
    seconds = [gpus * value for gpus, value in known if value is not None]
    if seconds:
        cost += f"; expected {sum(seconds) / 3600:.2g}, from the recorded times of {len(seconds)} of {len(known)} jobs"
    return "\n".join([*lines, f"{cost}.", *(f"Warning: {text}" for text in dict.fromkeys(warnings))])


def refusal(request: Request) -> str | None:
    """Return on one line why Slurm would not run a job, or None if it would."""
    return examine(request, Site()).error
