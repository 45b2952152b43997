"""The IDX file format of MNIST, gzipped: a header with type and shape, then the values.

Format: http://yann.lecun.com/exdb/mnist/ (big-endian; type 0x08 is unsigned byte).
"""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnist_hpc.errors import UserError

UNSIGNED_BYTE = 0x08


def header(shape: tuple[int, ...]) -> bytes:
    """Return the IDX header of a uint8 array of this shape: 4 + 4 × len(shape) bytes."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, UNSIGNED_BYTE, len(shape), *shape)


def size(shape: tuple[int, ...]) -> int:
    """Return the bytes of the payload of a uint8 array of this shape."""
    return len(header(shape)) + math.prod(shape)


def encode(array: np.ndarray) -> bytes:
    """Return a uint8 array of any shape as an IDX payload."""
    return header(array.shape) + np.ascontiguousarray(array, dtype=np.uint8).tobytes()


def decode(payload: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Return the payload's values, uint8 of exactly the expected shape.

    Raises:
        UserError: the header or the length is not that of a uint8 array of this shape.
    """
    expected = header(shape)
    if payload[: len(expected)] != expected:
        raise UserError(f"expected IDX uint8 {shape}, found {describe(payload)}")
    if len(payload) != size(shape):
        raise UserError(f"expected {size(shape)} bytes for IDX uint8 {shape}, found {len(payload)}")
    return np.frombuffer(payload, dtype=np.uint8, offset=len(expected)).reshape(shape)


def describe(payload: bytes) -> str:
    """Say in a few words what the beginning of a payload looks like."""
    if len(payload) >= 4 and payload[:3] == bytes([0, 0, UNSIGNED_BYTE]):
        dimensions = payload[3]
        if len(payload) >= 4 + 4 * dimensions:
            return f"IDX uint8 {struct.unpack_from(f'>{dimensions}I', payload, 4)}"
    return f"no IDX header but {payload[:16]!r}"


def decompress(path: Path, shape: tuple[int, ...]) -> bytes:
    """Return the payload of a gzipped IDX file, reading no more than a file of this shape can hold.

    Raises:
        UserError: not gzip, damaged, cut short, or larger than the shape allows.
    """
    limit = size(shape)
    try:
        with gzip.open(path) as stream:
            payload = stream.read(limit + 1)
    except gzip.BadGzipFile:
        with path.open("rb") as raw:
            start = raw.read(24)
        raise UserError(f"expected a gzip file, found one that starts with {start!r}") from None
    except (EOFError, zlib.error) as error:
        raise UserError(f"the gzip file is cut short or damaged ({error})") from None
    if len(payload) > limit:
        raise UserError(f"expected {limit} bytes for IDX uint8 {shape}, found more")
    return payload


def read_verified(path: Path, file: Mapping[str, Any]) -> bytes:
    """Return the verified payload of a gzipped IDX file.

    Args:
        path: Gzipped IDX file.
        file: The config's ``shape`` and, where known, ``sha256`` of the payload.

    Raises:
        UserError: the file is missing, or its size, header or checksum is not what the config says.
    """
    shape = tuple(file["shape"])
    try:
        payload = decompress(path, shape)
        decode(payload, shape)
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    found, expected = hashlib.sha256(payload).hexdigest(), file.get("sha256")
    if expected and found != expected:
        raise UserError(f"{path}: expected a payload with SHA-256 {expected}, found {found}")
    return payload
