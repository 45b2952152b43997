"""What the top of the page says: which variants are best, how sure that is, what it cost, and what is missing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_hpc.cluster import attempts
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect, sweep_status, text, time_spent
from mnist_hpc.tables.reading import read_jobs

Tables = Mapping[str, pd.DataFrame]
# Keys that make a study a trial if the command line sets them.
TRIAL = ("max_seeds", "max_epochs")


def overview(study: Study, results: Path, tables: Tables, hashes: Mapping[str, str]) -> dict[str, Any]:
    """Return the answers to the five questions, for the template; ``hashes`` are the code hashes by stage."""
    runs, variants = tables["runs"], tables["variants"]
    own = variants[variants["dataset"] == study.dataset]
    best = text.leading(own.to_dict("records"))
    spent = time_spent.parts(runs)[time_spent.PARTS].sum(axis=1)
    trained = runs[runs["status"].isin(["ok", "failed"])].groupby("variant").size()
    return {
        "trial": ", ".join(f"{key} {value}" for key, value in json.loads(study.overrides).items() if key in TRIAL),
        "best": [_described(row, spent[row["variant"]] / trained[row["variant"]]) for row in best],
        "limits": _limits(best),
        "compared": _compared(tables["comparisons"], [row["variant"] for row in best]),
        "ensembles": [
            row | {"accuracy": text.percent(row["test_accuracy"])}
            for row in tables["ensembles"].to_dict("records")
            if row["status"] == "ok"
        ],
        "cost": _cost(runs, spent, results / study.dataset / "tables" / "jobs.csv"),
        "sweep_cost": _duration(tables["sweeps"]["train_seconds"].sum()),
        "problems": _problems(study, results, tables, hashes),
        "done": int(runs["status"].isin(["ok", "failed"]).sum()),
        "runs": len(runs),
        "sweeps": len(study.sweeps),
        "facts": _facts(study, runs),
    }


def _described(row: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return a row of variants.csv as the page shows it; ``seconds`` are those of a seed's share of all processes."""
    low, high = row["test_accuracy_ci95_low"], row["test_accuracy_ci95_high"]
    return {
        "variant": row["variant"],
        "n": row["n"],
        "validation": text.percent(row["validation_accuracy_mean"]),
        "test": text.spread(row),
        "mean": row["test_accuracy_mean"],
        "interval": None if pd.isna(low) else (low, high),
        "shown": "no interval" if pd.isna(low) else f"{text.percent(low)} to {text.percent(high)}",
        "seconds": _duration(seconds),
    }


def _limits(best: list[Any]) -> tuple[float, float]:
    """Return the ends of an axis on which the test accuracies of some variants and their intervals lie."""
    columns = ("test_accuracy_mean", "test_accuracy_ci95_low", "test_accuracy_ci95_high")
    values = [row[name] for row in best for name in columns if not pd.isna(row[name])]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.05 * (high - low) or 0.01
    return low - margin, high + margin


def _compared(comparisons: pd.DataFrame, names: list[str]) -> list[dict[str, Any]]:
    """Return how the next best variants differ from the best one, and whether the study shows a difference."""
    rows = comparisons[(comparisons["relation"] == "best") & (comparisons["n"] > 0)].set_index("variant")
    found = []
    for name in names[1:]:
        if name in rows.index:
            row = rows.loc[name]
            low, high = row["difference_ci95_low"], row["difference_ci95_high"]
            verdict = "no interval" if pd.isna(low) else "not shown" if low <= 0 <= high else "shown"
            found.append({"variant": name, "difference": text.difference(row), "verdict": verdict})
    return found


def _cost(runs: pd.DataFrame, spent: pd.Series, jobs: Path) -> dict[str, Any]:
    """Return what the processes of all trainings cost; ``spent`` are their seconds by variant."""
    spent = spent.sort_values(ascending=False)
    cost = {
        "whole": _duration(spent.sum()),
        "trainings": int(runs["status"].isin(["ok", "failed"]).sum()),
        "most": [(name, _duration(value), round(100 * value / spent.sum())) for name, value in spent[:3].items()],
        "devices": sorted(runs["device"].dropna().unique()),
        "hours": None,
    }
    if jobs.exists():
        listed = read_jobs(jobs)
        column, unit = time_spent.hours(listed)
        waited = listed["queue_seconds"].median()  # NaN if all jobs are pending
        cost |= {"hours": f"{listed[column].sum():.3g} {unit}", "jobs": listed["job"].nunique()}
        cost |= {"waited": "" if pd.isna(waited) else text.duration(waited)}
    return cost


def _problems(study: Study, results: Path, tables: Tables, hashes: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what is not as it should be: runs that failed, are stale or missing, sweeps, errors of jobs."""
    meanings = {
        "failed": "diverged: the loss grew beyond all bounds",
        "stale": "made from another configuration, other data or other code than today's",
        "missing": "not trained and evaluated yet",
    }
    runs, found = tables["runs"], []
    for status, meaning in meanings.items():
        counts = runs.loc[runs["status"] == status, "variant"].value_counts(sort=False)
        if len(counts):
            names = ", ".join(f"{name} ({count})" for name, count in counts.items())
            found.append({"what": f"{counts.sum()} {status}", "meaning": meaning, "where": names})
    identities = collect.identities(study, results, hashes["train"], hashes["evaluate"])
    for name, state in sweep_status.by_sweep(study, results, identities, hashes["sweep"]).items():
        if not state.startswith("ok"):
            found.append({"what": f"sweep {state.partition(',')[0]}", "meaning": "run again", "where": name})
    measured = tables["robustness"].groupby("variant")["n"].min()
    images = {block.variant for block in study.blocks_of_images}
    trained = runs[runs["status"] == "ok"].groupby("variant", sort=False).size()
    behind = {name: n - measured.get(name, 0) for name, n in trained.items() if name in images}
    if any(behind.values()):
        names = ", ".join(f"{name} ({count})" for name, count in behind.items() if count)
        found.append({"what": "robustness", "meaning": "not measured, or stale", "where": names})
    errors = attempts.errors(study.works, results)
    return found + [{"what": "error", "meaning": "last attempt of a job", "where": error} for error in errors]


def _facts(study: Study, runs: pd.DataFrame) -> dict[str, str]:
    """Return what the study is, by keyword."""
    present = runs[runs["status"] != "missing"]

    def used(*columns: str) -> str:
        return ", ".join(sorted({str(value) for name in columns for value in present[name].dropna() if value != ""}))

    classes, shape, examples = study.facts(study.dataset)
    *fewer, most = sorted({variant.seeds for variant in study.variants.values()})
    seeds = " or ".join([*map(str, fewer), text.counted(most, "seed")])
    facts = {
        "Data": f"{study.dataset}: {examples:,} training examples, {' × '.join(map(str, shape))}, {classes} classes",
        "Variants": f"{len(study.variants)}, of {seeds} each",
        "Sweeps": ", ".join(
            f"{name} ({text.counted(sweep.count, 'point')}{', halved' if sweep.halving else ''})"
            for name, sweep in study.sweeps.items()
        ),
        "Trained on": used("device", "host"),
        "Software": ", ".join(f"{name} {used(name)}" for name in ("tensorflow", "keras", "python") if used(name)),
        "Commit": used("commit"),
        "Trained": f"{minute(present['started'].min())} to {minute(present['finished'].max())}" if len(present) else "",
        "Command line": study.overrides.strip("{}").replace('"', ""),
    }
    return {name: value for name, value in facts.items() if value}


def minute(moment: str) -> str:
    """Return a time of ``provenance.now`` to the minute."""
    return f"{moment[:16].replace('T', ' ')} UTC"


def _duration(seconds: float) -> str:
    """Return a time as text, short ones with two digits."""
    return text.duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"
