"""The numbers of README.md and docs/, from the tables in docs/results.

    python docs/published.py [FOLDER]

writes the lecture. With FOLDER (results/), it first copies the tables and figures of a finished study and the tables of
the benchmarks from there. The pages have their numbers from Cog, which replaces what stands behind the calls of the
other functions here. ``make docs`` does both, ``make publish`` copies as well.
"""

import functools
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from mnist_hpc import figures
from mnist_hpc.files.atomic import write_text
from mnist_hpc.report import lecture
from mnist_hpc.study.layout import TEXTS
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import text
from mnist_hpc.tables.statistics import interval

DOCS = Path(__file__).parent
RESULTS = DOCS / "results"
OURS = "mnist-hpc"
TABLES = ("runs", "variants", "comparisons", "ensembles", "sweeps", "calibration", "robustness")


def main(source: Path | None) -> None:
    """Write the lecture, and before that copy what ``source`` has."""
    study = Study.read(DOCS.parent / "config.yaml")
    if source:
        copy(study, source)

    def picture(kind: str, subject: str) -> str | None:
        name = f"{kind}-{subject}.svg" if subject else f"{kind}.svg"
        if source:
            shutil.copyfile(source / figures.files(study, kind)[subject], DOCS / name)
        return name

    write_text(DOCS / "lecture.rst", lecture.source(study, table("variants"), table("comparisons"), picture))


def copy(study: Study, results: Path) -> None:
    """Copy the tables of a study and, if they are there, those of the benchmarks and the figure of searches."""
    (RESULTS / "benchmarks").mkdir(parents=True, exist_ok=True)
    for name in (*(f"{name}.csv" for name in TABLES), "provenance.json"):
        shutil.copyfile(results / study.dataset / "tables" / name, RESULTS / name)
    for sweep in study.sweeps:
        shutil.copyfile(results / study.dataset / "sweeps" / sweep / "best.json", RESULTS / f"best-{sweep}.json")
    for path in (results / "benchmarks").glob("*.*"):
        if path.suffix in (".csv", ".json"):
            shutil.copyfile(path, RESULTS / "benchmarks" / path.name)
        elif path.name == "search.svg":
            shutil.copyfile(path, DOCS / path.name)


@functools.cache
def table(name: str) -> pd.DataFrame:
    """Return a table of docs/results."""
    return pd.read_csv(RESULTS / f"{name}.csv", dtype=dict.fromkeys(TEXTS, str))


def markdown(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    lines = [list(columns), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def lasting(value: float) -> str:
    """Return a time given in seconds: 0.09 s, 1.3 s, 77 s, 37 min 57 s."""
    return text.duration(value) if value >= 100 else f"{digits(value)} s"


def digits(value: float) -> str:
    """Return a number with two digits or more: 0.09, 1.3, 77, 1030."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


# ---- The study


def measured() -> str:
    """Return what the study was measured with, and when."""
    runs = table("runs")

    def all_of(column: str) -> str:
        return " and ".join(sorted({str(value) for value in runs[column].dropna()}))

    days = sorted(set(runs["finished"].str[:10].dropna()))
    software = f"Python {all_of('python')}, TensorFlow {all_of('tensorflow')}, Keras {all_of('keras')}"
    where = f"{runs['threads'].max()} cores of {all_of('device').replace('CPU ', '')}"
    return f"{where}, {software}, version {all_of('version')}, {' and '.join(days)}"


def cost() -> str:
    """Return how long the trainings of the study take if all cores are busy."""
    runs = table("runs")
    cores = runs["threads"].max()
    minutes = (runs["train_seconds"] * runs["threads"] / cores / 60).groupby(runs["variant"]).sum()
    longest = f"{minutes.max():.0f} of them `{minutes.idxmax()}`"
    return f"{minutes.sum():.0f} minutes of training with {cores} cores busy, {longest}"


COLUMNS: Mapping[str, Callable[[pd.Series], str]] = {
    "n": lambda row: str(row["n"]),
    "test accuracy: mean": lambda row: f"{row['test_accuracy_mean']:.4f}",
    "sd": lambda row: f"{row['test_accuracy_sd']:.4f}",
    "95 % interval": lambda row: f"{row['test_accuracy_ci95_low']:.4f} to {row['test_accuracy_ci95_high']:.4f}",
    "solved": lambda row: f"{row['successes']:.0f} of {row['trials']:.0f}",
    "95 % interval of the share": lambda row: f"{row['success_ci95_low']:.2f} to {row['success_ci95_high']:.2f}",
    "training per seed": lambda row: lasting(row["train_seconds_mean"]),
}
ACCURACY = ("n", "test accuracy: mean", "sd", "95 % interval", "training per seed")
BRIEF = ("n", "test accuracy: mean", "95 % interval", "training per seed")
SOLVED = ("solved", "95 % interval of the share", "test accuracy: mean", "training per seed")


def variants(notes: Mapping[str, str], columns: Iterable[str] = ACCURACY) -> str:
    """Return a table of variants, with a note each."""
    rows = table("variants").set_index("variant").loc[[*notes]]
    cells = (
        [f"`{row.name}`", *(COLUMNS[name](row) for name in columns), notes[row.name]] for _, row in rows.iterrows()
    )
    return markdown(["variant", *columns, ""], cells)


def exercise() -> str:
    """Return a table of the sweeps: their cost and choice, and what it is worth beside the values of the lecture."""
    users = {
        variant.keys.get("from_sweep"): name
        for name, variant in Study.read(DOCS.parent / "config.yaml").variants.items()
    }
    bases = table("comparisons").query("relation == 'base'").set_index("variant")
    rows = []
    for sweep, points in table("sweeps").groupby("sweep", sort=False):
        best = json.loads((RESULTS / f"best-{sweep}.json").read_text())
        values = ", ".join(f"{key} {value}" for key, value in best["values"].items())
        if best["at_the_edge"]:
            values += f"; at the edge: {', '.join(best['at_the_edge'])}"
        wins = f"{100 * best['finalists'][0]['wins']:.0f} %"
        spent = f"{points['images'].sum() / 1e6:.1f} million, {text.duration(points['train_seconds'].sum())}"
        difference = text.difference(bases.loc[users[sweep]])
        rows.append([f"`{sweep}`", str(len(points)), spent, values, wins, f"`{users[sweep]}`: {difference}"])
    return markdown(
        ["sweep", "points", "images, training time", "choice", "wins", "test accuracy minus that of the base"], rows
    )


def ensembles() -> str:
    """Return a table of the ensembles."""
    rows = (
        [
            *(f"`{row['ensemble']}`", str(row["members"]), str(row["wrong"]), f"{row['test_accuracy']:.4f}"),
            f"{row['test_accuracy_ci95_low']:.4f} to {row['test_accuracy_ci95_high']:.4f}",
        ]
        for _, row in table("ensembles").iterrows()
    )
    return markdown(["ensemble", "members", "wrong images", "test accuracy", "95 % interval, other images"], rows)


# ---- The benchmarks


def machine() -> str:
    """Return what the benchmarks were measured with, and when."""
    facts = json.loads((RESULTS / "benchmarks/machine.json").read_text())
    software = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return f"{facts['cores']} cores of {facts['processor']}, Python {facts['python']}, {software}, {facts['date']}"


def ratios() -> str:
    """Return how many times longer the peers take: medians of pairs of later calls, and of first ones."""
    calls = table("benchmarks/training")
    seconds = calls.pivot_table("seconds", ["workload", "call", "round"], "contender", sort=False)
    times = seconds.div(seconds[OURS], axis="index").groupby(["workload", "call"], sort=False).median()
    peers = [name for name in times if name != OURS]
    speed = (
        (calls["images"] / calls["seconds"]).groupby([calls["workload"], calls["call"], calls["contender"]]).median()
    )

    def row(workload: str) -> list[str]:
        later, first = times.loc[workload, "later"], times.loc[workload, "first"]
        cells = [f"{digits(later[name])} ({digits(first[name])})" if later[name] > 0 else "" for name in peers]
        return [workload, *cells, f"{speed[workload, 'later', OURS]:,.0f}"]

    return markdown(["", *peers, "images/s"], map(row, dict.fromkeys(calls["workload"])))


def medians(part: str, rows: str, columns: str | None = None) -> str:
    """Return medians of the times of a part, in seconds and, where they are known, in times an import of TensorFlow.

    With ``columns``, the table has a column per value of that column of the part's table.
    """
    measured = table(f"benchmarks/{part}")
    if columns:
        wide = measured.pivot_table("seconds", rows, columns, aggfunc="median", sort=False)
    else:
        wide = measured.groupby(rows, sort=False)[[c for c in ("seconds", "imports") if c in measured]].median()
    cells = ([str(name), *map(digits, row)] for name, row in zip(wide.index, wide.to_numpy(), strict=True))
    return markdown([rows, *wide.columns], cells)


def searches() -> str:
    """Return what searches trained and reached, and how far the loss of their choice is from that of the grid's."""
    rows = []
    for path in sorted((RESULTS / "benchmarks").glob("search-*.csv")):
        searched = table(f"benchmarks/{path.stem}")
        found = searched.pivot(index="repetition", columns="method")
        for method in dict.fromkeys(searched["method"]):
            images, loss = found["images", method], found["validation_loss", method]
            cells = [f"`{path.stem}`", method, str(loss.count()), f"{images.mean() / 1e6:.1f}"]
            cells += [f"{loss.mean():.4f}" + (f" ± {loss.std():.4f}" if loss.count() > 1 else "")]
            difference = (loss - found["validation_loss", "grid"]).dropna()
            low, high = interval(difference.to_numpy())
            limits = f" ({low:+.4f} to {high:+.4f})" if len(difference) > 1 else ""
            cells += [f"{difference.mean():+.4f}{limits}" if method != "grid" else ""]
            # As a share of the same repetition's grid: repetitions are from machines of different speed.
            time = found["processor_seconds", method] / found["processor_seconds", "grid"]
            rows.append([*cells, f"{time.mean():.2f}"])
    columns = ["part", "method", "n", "million images", "validation loss", "minus that of the grid (95 % interval)"]
    return markdown([*columns, "processor time / grid's"], rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
