"""HDF5 files that begin with a checksum of their content.

Files travel between people and disks make errors: a file is read only if its checksum holds.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py

from mnist_hpc.errors import UserError, reason
from mnist_hpc.files.atomic import atomic

# Bytes before HDF5's own, a user block in its words: what every HDF5 reader skips.
HEAD = 512


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
            read, looks for.
    """
    try:
        content = path.read_bytes()
        # Before HDF5 sees it: a damaged file can make the library crash, hang, or read something else.
        if content[:HEAD] != _head(memoryview(content)[HEAD:]):
            raise UserError("the file is damaged, or was not written by this project")
        with h5py.File(io.BytesIO(content), "r") as file:
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
