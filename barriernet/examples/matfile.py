"""Matrices of MATLAB 5 MAT-files, as far as the published data need: real doubles, compressed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float64

HEADER = 128
COMPRESSED, MATRIX, DOUBLE = 15, 14, 9
DOUBLE_CLASS = 6
"""Array class of real doubles, in the low byte of an array's flags."""


class MatFileError(ValueError):
    """A file that is no MATLAB 5 MAT-file, or holds something else than real double matrices."""


def read_matrices(path: Path) -> dict[str, Float64[np.ndarray, "rows columns"]]:
    """Every matrix of a file, by name.

    The format: "MAT-File Format", The MathWorks, chapter 1 (Level 5).

    Args:
        path: of a little-endian file.

    Raises:
        MatFileError: the file is no such file, ends early, or holds something else.
    """
    content = path.read_bytes()
    if len(content) < HEADER or content[124:128] != b"\x00\x01IM":
        raise MatFileError(f"{path.name}: expected a little-endian MATLAB 5 file")
    try:
        return dict(_matrix(body) for body in _unpacked(content[HEADER:]))
    except (struct.error, zlib.error, ValueError) as fault:
        raise MatFileError(f"{path.name}: expected real double matrices, {fault}") from fault


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each data element; small ones keep both in eight bytes."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind >> 16:
            yield kind & 0xFFFF, data[at + 4 : at + 4 + (kind >> 16)]
            at += 8
        else:
            yield kind, data[at + 8 : at + 8 + size]
            # Compressed elements alone are not padded to eight bytes.
            at += 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)


def _unpacked(data: bytes) -> Iterator[bytes]:
    """The content of each matrix."""
    for kind, body in _elements(data):
        if kind == COMPRESSED:
            yield from _unpacked(zlib.decompress(body))
        elif kind == MATRIX:
            yield body
        else:
            raise ValueError(f"got an element of type {kind}")


def _matrix(body: bytes) -> tuple[str, Float64[np.ndarray, "rows columns"]]:
    (_, flags), (_, shape), (_, name), (kind, values) = list(_elements(body))[:4]
    if flags[0] != DOUBLE_CLASS or flags[1] & 8 or kind != DOUBLE:
        raise ValueError(f"got array class {flags[0]}, values of type {kind}")
    rows, columns = struct.unpack("<ii", shape)
    # A copy: the bytes' own memory is read-only. MATLAB counts down the columns first.
    return name.decode("ascii"), np.frombuffer(values).reshape(columns, rows).T.copy()
