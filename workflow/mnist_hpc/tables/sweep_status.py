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
            done = _made_by(ranking.read_best(results / sweep.folder / "best.json"), sweep, sweep_hash)
        except UserError:
            done = False
        found += [] if done else [sweep]
    return found


def _made_by(best: Mapping[str, Any], sweep: Sweep, sweep_hash: str) -> bool:
    """Return whether the content of best.json is from this specification and code."""
    return [best["spec_hash"], best["code_hash"]] == [specification_hash(json.loads(sweep.json)), sweep_hash]


def _status(sweep: Sweep, results: Path, data_hash: str | None, sweep_hash: str) -> str:
    path = results / sweep.folder / "best.json"
    if not path.exists():
        return "missing"
    try:
        best = ranking.read_best(path)
    except UserError as error:
        return f"damaged: {error}"
    values = ", ".join(f"{key} {label(value)}" for key, value in best["values"].items())
    status = "ok" if _made_by(best, sweep, sweep_hash) and best["data_hash"] == data_hash else "stale"
    return f"{status}{', halved' if 'finalists' in best else ''}, best at {values}"
