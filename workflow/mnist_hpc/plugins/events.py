"""What the main process reports when a run starts and ends."""

from pathlib import Path

from mnist_hpc.cluster import attempts, budget
from mnist_hpc.errors import UserError
from mnist_hpc.files import csv_table
from mnist_hpc.files.code_hash import code_hash
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import sweep_status
from mnist_hpc.tables.text import counted, summary


def outdated(study: Study, results: Path) -> str:
    """Return how many results were made by an earlier version of the code, as text; empty if there are none."""
    current = {"code_hash": code_hash("stages.train"), "evaluation_code_hash": code_hash("stages.evaluate")}
    count = 0
    for block in study.blocks:
        try:
            rows = csv_table.read(results / block.folder / "metrics.csv")
        except (OSError, UserError):  # missing, or damaged, which the run itself reports
            continue
        count += sum(any(row.get(key) != value for key, value in current.items()) for row in rows)
    return f"{counted(count, 'result')} of an earlier version of the code will be rebuilt." if count else ""


def planned(study: Study, results: Path) -> str:
    """Return what the sweeps that will run cost, as text; empty if there are none."""
    sweeps = sweep_status.to_run(study, results, code_hash("stages.sweep"))
    return "\n".join(budget.lines(study, results, sweeps))


def best(study: Study, results: Path, since: float) -> str:
    """Return the best variants as text if the tables were written after a time (seconds since the epoch)."""
    variants = results / study.dataset / "tables" / "variants.csv"
    return summary(variants) if variants.exists() and variants.stat().st_mtime > since else ""


def interrupted(study: Study, results: Path, since: str) -> str:
    """Return how many trainings were interrupted and saved since a time (UTC), as text; empty if there are none."""
    saved = attempts.interrupted((results / work.record for work in study.works), since)
    return f"Interrupted; {counted(saved, 'training')} saved. Run the same command again to continue." if saved else ""
