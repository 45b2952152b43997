"""Files that appear whole or not at all, and the HDF5 layout of data sets and models.

A data file holds ``images`` uint8 (N, 28, 28) or ``features`` float32 (N, 2), and ``labels`` uint8 (N,).
A models file holds one group ``seed-<n>`` a seed: its facts as attributes and, unless it failed, its weights.

Files may come from strangers, and disks make errors: each begins with a checksum of the rest, and only numbers that lie
in the file itself are read.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mnist_hpc.errors import UserError, reason

# Bytes before HDF5's own, a user block in its words: what every HDF5 reader skips.
HEAD = 512
# No filter of HDF5 packs more bytes than this into one (deflate: 1032).
PACKED = 1100


@dataclass(frozen=True)
class Split:
    """Examples with their classes.

    Attributes:
        inputs: uint8 (N, 28, 28), grey levels 0 to 255, or float32 (N, 2).
        labels: uint8 (N,), classes from 0.
    """

    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Model:
    """One trained seed.

    Attributes:
        facts: status, steps, seconds and what else training knows of the run; values that JSON can hold.
        weights: by Keras variable path, in Keras' order; empty when the training failed.
    """

    facts: dict[str, Any]
    weights: dict[str, np.ndarray]


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; rename it to ``path`` if the block succeeds, else remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # a link of that name would lead the writer elsewhere
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_empty(folder: Path, levels: int) -> None:
    """Remove a folder and those above it, so many in all, up to the first that is not empty."""
    for level in [folder, *folder.parents][:levels]:
        if not level.is_dir() or any(level.iterdir()):
            return
        level.rmdir()


@contextlib.contextmanager
def writing(path: Path, attributes: Mapping[str, Any]) -> Iterator[h5py.File]:
    """Yield a new HDF5 file with these root attributes; it appears under ``path`` when the block succeeds."""
    # HDF5 never sees the disk, whose errors the library takes badly.
    content = io.BytesIO()
    with h5py.File(content, "w", userblock_size=HEAD) as file:
        file.attrs.update(attributes)
        yield file
    body = content.getbuffer()[HEAD:]
    with atomic(path) as temporary, temporary.open("wb") as written:
        written.write(_head(body))
        written.write(body)
        written.flush()
        os.fsync(written.fileno())


@contextlib.contextmanager
def reading(path: Path, **expected: str) -> Iterator[h5py.File]:
    """Yield an HDF5 file for reading; whoever has locked it, and on whatever file system.

    Args:
        path: of the file.
        expected: root attributes that tell whose file it is.

    Raises:
        UserError: the file is missing, not what ``writing`` wrote, or lacks what the block, which must do nothing but
            read, looks for; or it refers to other files, or holds something else than numbers.
    """
    try:
        content = path.read_bytes()
        # Before HDF5 sees it: a damaged file can make the library crash, hang, or read something else.
        if content[:HEAD] != _head(memoryview(content)[HEAD:]):
            raise UserError("the file is damaged, or was not written by this project")
        with h5py.File(io.BytesIO(content), "r") as file:
            _check(file, len(content))
            for key, value in expected.items():
                if (found := str(file.attrs.get(key))) != value:
                    raise UserError(f"it is of {key} {found}, expected {value}")
            yield file
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run the stage that writes it") from None
    except Exception as error:  # noqa: BLE001  a library raises whatever a file leads it to
        raise UserError(f"{path}: {reason(error)}; delete the file and run the stage that writes it") from None


def _head(body: memoryview) -> bytes:
    """Return what a file begins with: a checksum of all that comes after it."""
    text = f"mnist-hpc, sha256 of what follows: {hashlib.sha256(body).hexdigest()}\n"
    return text.encode().ljust(HEAD, b"\0")


def _check(file: h5py.File, size: int) -> None:
    """Raise UserError if a file refers to another one, or an array is not of numbers or not as large as it says.

    Nor may all arrays together, by whatever names, be larger than a file of that size, bytes, can hold.
    """
    total = 0

    def look(name: str, link: Any) -> str | None:
        """Return what is wrong, which ends the visit; an exception would be lost on its way through the library."""
        if not isinstance(link, h5py.HardLink):
            return f"{name} lies elsewhere ({type(link).__name__}), expected everything in this file"
        nonlocal total
        item = file[name]
        if not isinstance(item, h5py.Dataset):
            return None
        if item.is_virtual or item.external:
            return f"{name} lies in other files, expected everything in this file"
        if item.dtype.kind not in "biuf" or item.dtype.fields:
            return f"{name} holds {item.dtype}, expected numbers"
        if item.nbytes > PACKED * item.id.get_storage_size():
            return f"{name} is said to have {item.nbytes} bytes and has {item.id.get_storage_size()}"
        total += item.nbytes
        if total > PACKED * size:
            return f"arrays of {total} bytes in a file of {size}"
        return None

    if wrong := file.visititems_links(look):
        raise UserError(wrong)


def write_split(group: h5py.Group, split: Split) -> None:
    """Write inputs and labels into an HDF5 group or file."""
    name = "images" if split.inputs.ndim == 3 else "features"
    group.create_dataset(name, data=split.inputs)
    group.create_dataset("labels", data=split.labels)


def read_split(group: h5py.Group) -> Split:
    """Read what ``write_split`` wrote, whole, into memory.

    Raises:
        UserError: other shapes or types than those of ``Split``, no example, or a value that is not finite.
    """
    kind, dtype = ("images", np.uint8) if "images" in group else ("features", np.float32)
    inputs, labels = group[kind], group["labels"]
    right = inputs.dtype == dtype and inputs.shape[1:] == ((28, 28) if kind == "images" else (2,))
    if not (right and labels.dtype == np.uint8 and labels.shape == inputs.shape[:1] and len(labels)):
        raise UserError(
            f"{group.name}: found {kind} {inputs.dtype} {inputs.shape} and labels {labels.dtype} {labels.shape}, "
            "expected uint8 (N, 28, 28) or float32 (N, 2), and uint8 (N,)"
        )
    split = Split(inputs[()], labels[()])
    if kind == "features" and not np.isfinite(split.inputs).all():
        raise UserError(f"{group.name}: found features that are not finite")
    return split


def write_models(path: Path, specification: Mapping[str, Any], models: Mapping[int, Model]) -> None:
    """Write the models of a block of seeds with the specification they were trained by."""
    with writing(path, {"specification": json.dumps(specification)}) as file:
        for seed, model in models.items():
            group = file.create_group(f"seed-{seed}")
            group.attrs["facts"] = json.dumps(model.facts)
            for name, value in model.weights.items():
                group.create_dataset(f"weights/{name}", data=value)


def read_models(path: Path) -> tuple[dict[str, Any], dict[int, Model]]:
    """Return the specification a models file was trained by, and its models by seed.

    Raises:
        UserError: no models file, or weights that are not finite.
    """
    with reading(path) as file:
        models = {
            int(name.removeprefix("seed-")): Model(
                json.loads(group.attrs["facts"]),
                {
                    f"{layer}/{weight}": values[()]
                    for layer, weights in group.get("weights", {}).items()
                    for weight, values in weights.items()
                },
            )
            for name, group in file.items()
        }
        for seed, model in models.items():
            if bad := [name for name, values in model.weights.items() if not np.isfinite(values).all()]:
                raise UserError(f"seed {seed}: {bad[0]} is not finite; delete the file and train again")
        return json.loads(file.attrs["specification"]), dict(sorted(models.items()))
