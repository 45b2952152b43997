"""Small nets on points of the plane at several moments of their training, for ``planes.js``."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc import figures
from mnist_hpc.data.splits import read_split
from mnist_hpc.files import hdf5
from mnist_hpc.report import weights
from mnist_hpc.study.specification import Study
from mnist_hpc.training.models_file import Model, read_models

# Seeds of a variant, and training points.
SEEDS, POINTS = 4, 300


def planes(study: Study, results: Path, current: Collection[tuple[str, int]]) -> dict[str, dict[str, Any]]:
    """Return by variant what its first seeds were at each snapshot: nothing for variants without snapshots.

    Only ``current`` trainings, (variant, seed), are shown.

    Each has ``points`` [[x, y], ...] with their ``labels``, the ``steps`` of the snapshots, and by seed the operations
    of the net at each of them.
    """
    found = {}
    for variant in figures.of_the_plane(study):
        block = study.blocks_of(variant)[0]
        models, data = results / block.folder / "models.h5", results / block.dataset / "data" / "train.h5"
        if not (models.exists() and data.exists()):
            continue
        specification, trained = read_models(models)
        nets = {seed: model for seed, model in trained.items() if model.snapshots and (variant, seed) in current}
        if not nets:
            continue
        with hdf5.reading(data) as file:
            points = read_split(file["train"])
        found[variant] = {
            "points": points.inputs[:POINTS].round(3).tolist(),
            "labels": points.labels[:POINTS].tolist(),
            "steps": next(iter(nets.values())).snapshots["steps"].tolist(),
            "seeds": {seed: _moments(specification, nets[seed]) for seed in list(nets)[:SEEDS]},
        }
    return found


def _moments(specification: Mapping[str, Any], model: Model) -> list[list[dict[str, Any]]]:
    """Return the operations of a net at each snapshot."""
    arrays = {name: values for name, values in model.snapshots.items() if name != "steps"}
    shape = tuple(specification["input_shape"])
    return [
        [
            {key: _plain(value) for key, value in step.items()}
            for step in weights.operations(
                specification["layers"], {name: values[moment] for name, values in arrays.items()}, shape
            )
        ]
        for moment in range(len(model.snapshots["steps"]))
    ]


def _plain(value: Any) -> Any:
    """Return an argument of an operation for JSON; an array with four digits, more than a picture shows."""
    if not isinstance(value, np.ndarray):
        return value
    return {"shape": list(value.shape), "values": [float(f"{number:.4g}") for number in value.ravel()]}
