"""Whether the sweeps of a study are done, and what they found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_hpc.errors import UserError
from mnist_hpc.files.provenance import specification_hash
from mnist_hpc.study.grids import label
from mnist_hpc.study.specification import Study, Sweep
from mnist_hpc.tables import ranking


def by_sweep(
    study: Study, results: Path, identities: Mapping[str, Mapping[str, str]], sweep_hash: str
) -> dict[str, str]:
    """Return by sweep its status (ok, stale, missing or damaged), with its best point if it has run.

    ``identities`` are those of ``collect``; ``sweep_hash`` is the hash of today's code of sweeps.
    """
    return {
        name: _status(sweep, results, identities[sweep.variant.name].get("data_hash"), sweep_hash)
        for name, sweep in study.sweeps.items()
    }


def to_run(study: Study, results: Path, sweep_hash: str) -> list[Sweep]:
    """Return the sweeps that the next run makes even if the data are the same; ``sweep_hash`` is as in ``by_sweep``."""
    found = []
    for sweep in study.sweeps.values():
        try:
            done = _current(ranking.read_best(results / sweep.folder / "best.json"), sweep, results, sweep_hash)
        except UserError:
            done = False
        found += [] if done else [sweep]
    return found


def _current(best: Mapping[str, Any], sweep: Sweep, results: Path, sweep_hash: str) -> bool:
    """Return whether the content of best.json is from this specification and code, and from as many jobs."""
    parts = {results / file for part in sweep.parts for file in part.files}
    there = set((results / sweep.folder).glob("part-*"))
    divided_anew = bool(parts - there) and bool(there - parts)
    made_by = [best["spec_hash"], best["code_hash"]]
    return made_by == [specification_hash(json.loads(sweep.json)), sweep_hash] and not divided_anew


def _status(sweep: Sweep, results: Path, data_hash: str | None, sweep_hash: str) -> str:
    path = results / sweep.folder / "best.json"
    if not path.exists():
        return "missing"
    try:
        best = ranking.read_best(path)
    except UserError as error:
        return f"damaged: {error}"
    values = ", ".join(f"{key} {label(value)}" for key, value in best["values"].items())
    status = "ok" if _current(best, sweep, results, sweep_hash) and best["data_hash"] == data_hash else "stale"
    return f"{status}{', halved' if 'finalists' in best else ''}, best at {values}"
