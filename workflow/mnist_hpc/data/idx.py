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
# How a gzip file begins.
GZIP = b"\x1f\x8b"


def header(shape: tuple[int, ...]) -> bytes:
    """Return the IDX header of a uint8 array of this shape: 4 + 4 × len(shape) bytes."""
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, UNSIGNED_BYTE, len(shape), *shape)


def size(shape: tuple[int, ...]) -> int:
    """Return the number of bytes of a payload with a uint8 array of this shape."""
    return len(header(shape)) + math.prod(shape)


def encode(array: np.ndarray) -> bytes:
    """Return a uint8 array of any shape as an IDX payload."""
    return header(array.shape) + np.ascontiguousarray(array, dtype=np.uint8).tobytes()


def decode(payload: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Return the payload's values, uint8; raise UserError if header or length do not match this shape."""
    dimensions = payload[3] if len(payload) > 3 else 0
    start = 4 + 4 * dimensions
    if payload[:3] != bytes([0, 0, UNSIGNED_BYTE]) or len(payload) < start:
        raise UserError(f"expected IDX uint8 {shape}, found no IDX header but {payload[:16]!r}")
    found = struct.unpack_from(f">{dimensions}I", payload, 4)
    if found != shape:
        raise UserError(f"expected IDX uint8 {shape}, found IDX uint8 {found}")
    if len(payload) != size(shape):
        raise UserError(f"expected {size(shape)} bytes for IDX uint8 {shape}, found {len(payload)}")
    return np.frombuffer(payload, dtype=np.uint8, offset=start).reshape(shape)


def decompress(path: Path, shape: tuple[int, ...]) -> bytes:
    """Return the payload of a gzipped IDX file; raise UserError if it is damaged or larger than the shape allows."""
    limit = size(shape)
    try:
        with gzip.open(path) as stream:
            payload = stream.read(limit + 1)
    except FileNotFoundError:
        raise UserError("not found") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        if not (begin := path.read_bytes()[:24]).startswith(GZIP):
            raise UserError(f"expected a gzip file, found one that starts with {begin!r}") from None
        raise UserError(f"the gzip file is cut short or damaged ({error})") from None
    if len(payload) > limit:
        raise UserError(f"expected {limit} bytes for IDX uint8 {shape}, found more")
    return payload


def read(path: Path, file: Mapping[str, Any]) -> tuple[np.ndarray, str]:
    """Return the values of a gzipped IDX file, uint8, and their SHA-256; raise UserError if the config differs."""
    shape = tuple(file["shape"])
    payload = decompress(path, shape)
    found, expected = hashlib.sha256(payload).hexdigest(), file.get("sha256")
    if expected and found != expected:
        raise UserError(f"expected a payload with SHA-256 {expected}, found {found}")
    return decode(payload, shape), found
