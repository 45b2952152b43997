"""``models.h5``: the trained models of a block of seeds and their specification.

Each seed has a group ``seed-<n>`` with its facts as an attribute and, unless the training failed, its weights:
``weights/<layer>/<name>`` float32. A variant with the key ``snapshots`` also has the weights after S of its steps, from
0 (the initial ones) to the last (the trained ones): ``snapshots/steps`` int64 (S,), and ``snapshots/<layer>/<name>``
float32 (S, ...), with the names and shapes of the weights.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc.data.splits import Split, read_test
from mnist_hpc.errors import UserError
from mnist_hpc.files import hdf5


@dataclass(frozen=True)
class Model:
    """One trained seed."""

    facts: dict[str, Any]  # status, steps, seconds and other facts of the run, as a JSON object
    weights: dict[str, np.ndarray]  # by Keras variable path; empty if the training failed
    # ``steps`` int64 (S,), and float32 (S, ...) by Keras variable path; empty if there are none.
    snapshots: dict[str, np.ndarray] = field(default_factory=dict)


def write_models(path: Path, specification: Mapping[str, Any], models: Mapping[int, Model]) -> None:
    """Write the models of a block, by seed, with their specification."""
    with hdf5.writing(path, {"specification": json.dumps(specification)}) as file:
        for seed, model in models.items():
            group = file.create_group(f"seed-{seed}")
            group.attrs["facts"] = json.dumps(model.facts)
            for name, value in model.weights.items():
                group.create_dataset(f"weights/{name}", data=value)
            for name, value in model.snapshots.items():
                group.create_dataset(f"snapshots/{name}", data=value)


def read_models(path: Path) -> tuple[dict[str, Any], dict[int, Model]]:
    """Return the models in a file by seed, and their specification; raise UserError if it is missing or damaged."""
    with hdf5.reading(path) as file:
        models = {}
        for group_name, group in file.items():
            seed, weights = int(group_name.removeprefix("seed-")), hdf5.arrays(group, "weights")
            if bad := [name for name, values in weights.items() if not np.isfinite(values).all()]:
                raise UserError(f"seed {seed}: {bad[0]} is not finite; delete the file and train again")
            models[seed] = Model(json.loads(group.attrs["facts"]), weights, hdf5.arrays(group, "snapshots"))
        return json.loads(file.attrs["specification"]), dict(sorted(models.items()))


def read_models_and_test(models: Path, data: Path) -> tuple[dict[str, Any], dict[int, Model], Split]:
    """Return what ``read_models`` does, and the test examples; raise UserError if the models belong to other data."""
    header, trained = read_models(models)
    attributes, test = read_test(data)
    if attributes["data_hash"] != header["data_hash"]:
        raise UserError(
            f"{models}: trained on data {header['data_hash']}, found data {attributes['data_hash']} in {data}; "
            "train it again"
        )
    return header, trained, test
