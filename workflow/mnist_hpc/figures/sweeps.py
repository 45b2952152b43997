"""Sweeps: heat maps of a grid that was trained as a whole, and of other sweeps how they searched."""

from pathlib import Path

from mnist_hpc import figures
from mnist_hpc.figures import grids, searches
from mnist_hpc.study.specification import Study
from mnist_hpc.tables import collect, ranking

COLUMNS = ["point", "status", "validation_loss"]


def draw(study: Study, results: Path, kind: str) -> None:
    """Draw all sweeps."""
    for name, file in figures.files(study, kind).items():
        sweep = study.sweeps[name]
        if sweep.kind == "space" or sweep.halving:
            searches.search(searches.found(study, results, name), results / file)
            continue
        folder = results / sweep.folder
        points = collect.frame(ranking.read(folder / "points.csv"), COLUMNS, ["validation_loss"]).astype({"point": int})
        best = ranking.read_best(folder / "best.json")
        grids.heat_maps(grids.losses(points, sweep), best, sweep, results / file)
