"""HDF5 files that begin with a checksum of their content and are read only if it matches."""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mnist_hpc.errors import UserError, reason
from mnist_hpc.files.atomic import atomic

# Size of the user block, in bytes: HDF5 readers skip it.
HEAD = 512


@contextlib.contextmanager
def writing(path: Path, attributes: Mapping[str, Any]) -> Iterator[h5py.File]:
    """Yield a new HDF5 file with these root attributes; it appears under ``path`` when the block succeeds."""
    # In memory first: the HDF5 library may crash on errors of the disk.
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
    """Yield an HDF5 file for reading, whether or not it is locked. The block must do nothing but read.

    Raise UserError if the file is missing or damaged, lacks the expected root attributes, or the block fails.
    """
    try:
        content = path.read_bytes()
        # A damaged file can make the HDF5 library crash, hang, or read something else.
        if content[:HEAD] != _head(memoryview(content)[HEAD:]):
            raise UserError("the file is damaged, or was not written by this project")
        with h5py.File(io.BytesIO(content), "r") as file:
            for key, value in expected.items():
                if (found := str(file.attrs.get(key))) != value:
                    raise UserError(f"found {key} {found}, expected {value}")
            yield file
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run the stage that writes it") from None
    except Exception as error:  # noqa: BLE001  h5py raises many kinds
        raise UserError(f"{path}: {reason(error)}; delete the file and run the stage that writes it") from None


def arrays(parent: h5py.Group, name: str) -> dict[str, np.ndarray]:
    """Return the numeric arrays in a group of this name by their paths below it; none if there is no such group."""
    found: dict[str, np.ndarray] = {}
    if name in parent:
        parent[name].visititems(
            lambda path, item: found.update({path: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


def _head(body: memoryview) -> bytes:
    """Return the user block of a file: a checksum of everything after it."""
    text = f"mnist-hpc, sha256 of what follows: {hashlib.sha256(body).hexdigest()}\n"
    return text.encode().ljust(HEAD, b"\0")
