"""Grids of voxels, in OctoMap's manner: occupied or not, or how likely, in an `.npz` file."""

from __future__ import annotations

import io
import math
import os
import stat
import zipfile
import zlib

import numpy as np
from jaxtyping import Bool

from sim import fields, world_file
from sim.fields import WorldError
from sim.shapes import Box
from sim.world import MOST_OBSTACLES

MOST_VOXELS = 1 << 24
"""A larger grid is refused before it is unpacked: 134 MB of float64."""
GRIDS = {"occupied": None, "probability": 0.5, "log_odds": 0.0}
"""Names of the grid's array, and above which value a voxel is occupied."""
_EDGE_KEYS = ("resolution", "origin")
_HEADER = 1 << 14
"""No header of an array is longer [bytes]."""


def load_voxels(path: str | os.PathLike[str], threshold: float | None = None) -> list[Box]:
    """The boxes of a grid of voxels.

    Args:
        path: of an `.npz` file of three arrays: `occupied` (bool), `probability` or `log_odds`
            (numbers), `[nx, ny, nz]`; `resolution`, the edge of a voxel [m]; `origin`, the corner
            of the first voxel with the least x, y and z [m], `[3]`.
        threshold: a voxel is occupied if its number is above this; by default 0.5 or, for log-odds,
            0. A voxel that was never seen is nan, and counts as occupied.

    Raises:
        WorldError: naming the array that is not right, or `file`.
    """
    arrays = _read(path)
    names = [name for name in GRIDS if name in arrays]
    if len(names) != 1:
        raise WorldError("file", f"one of the arrays {', '.join(GRIDS)}", sorted(arrays))
    grid, usual = arrays.pop(names[0]), GRIDS[names[0]]
    if set(arrays) != set(_EDGE_KEYS):
        raise WorldError("file", f"the arrays {', '.join(_EDGE_KEYS)} besides", sorted(arrays))
    if usual is None:
        if threshold is not None:
            raise WorldError("threshold", "none where voxels are occupied or not", threshold)
        if grid.dtype != bool:
            raise WorldError(names[0], "an array of bool", str(grid.dtype))
    else:
        limit = usual if threshold is None else fields.number(threshold, "threshold")
        # Written so that nan is occupied: nobody knows what is there.
        grid = ~(grid <= limit)
    resolution, origin = (arrays[name] for name in _EDGE_KEYS)
    return boxes_of_voxels(grid, resolution.tolist(), origin.tolist())


def boxes_of_voxels(
    occupied: Bool[np.ndarray, "..."], resolution: object, origin: object
) -> list[Box]:
    """Boxes whose union is that of the occupied voxels, each voxel in one of them.

    Each box begins at the first voxel that is in none yet and grows along z, then y, then x, as
    far as all is occupied and in none.

    Args:
        occupied: `[nx, ny, nz]`.
        resolution: edge of a voxel [m].
        origin: the corner of the first voxel with the least x, y and z [m].

    Raises:
        WorldError: naming what is not right, or `occupied` if it takes more boxes than a world has
            obstacles.
    """
    if occupied.ndim != 3:
        raise WorldError("occupied", "an array [nx, ny, nz]", list(occupied.shape))
    edge = fields.positive(resolution, "resolution")
    corner = np.array(fields.vector(origin, "origin"))
    left, boxes, first = np.array(occupied, bool, order="C"), [], 0
    flat = left.reshape(-1)
    while first < flat.size:
        first += int(flat[first:].argmax())
        if not flat[first]:
            break
        if len(boxes) == MOST_OBSTACLES:
            raise WorldError("occupied", f"voxels that {MOST_OBSTACLES:,} boxes can hold", "more")
        low = np.array(np.unravel_index(first, left.shape))
        high = _grown(left, low)
        left[tuple(map(slice, low, high))] = False
        center, half = corner + edge * (low + high) / 2, edge * (high - low) / 2
        boxes.append(Box(tuple(center.tolist()), tuple(half.tolist())))
    return boxes


def _grown(left: Bool[np.ndarray, "x y z"], low: np.ndarray) -> np.ndarray:
    """The end of the box that begins at a voxel."""
    high = low + 1
    for axis in (2, 1, 0):
        # All layers at once would be looked at for nothing where the first one already stops it.
        while high[axis] < left.shape[axis]:
            layer = [slice(a, b) for a, b in zip(low, high, strict=True)]
            layer[axis] = slice(high[axis], high[axis] + 1)
            if not left[tuple(layer)].all():
                break
            high[axis] += 1
    return high


def _read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a file, none unpacked that is larger than it may be."""
    name = os.fspath(path)
    try:
        status = os.stat(name)
        if not stat.S_ISREG(status.st_mode):
            raise WorldError("file", "a regular file", name)
        if status.st_size > world_file.MOST_BYTES:
            size = f"{status.st_size:,} bytes"
            raise WorldError("file", f"at most {world_file.MOST_BYTES:,} bytes", size)
        with zipfile.ZipFile(name) as archive:
            members = archive.infolist()
            if len(members) > len(_EDGE_KEYS) + 1:
                raise WorldError("file", f"{len(_EDGE_KEYS) + 1} arrays", len(members))
            return {item.filename.removesuffix(".npy"): _array(archive, item) for item in members}
    except OSError as error:
        raise WorldError("file", "a file that can be read", str(error)) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise WorldError("file", "an .npz file", str(error)) from None


def _array(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> np.ndarray:
    """One array, its size known before it is unpacked."""
    name = item.filename.removesuffix(".npy")
    most = 8 * MOST_VOXELS + 4096
    if item.file_size > most:
        raise WorldError(f"{name:.60}", f"at most {most:,} bytes", f"{item.file_size:,} bytes")
    try:
        with archive.open(item) as file:
            _require_shape(io.BytesIO(file.read(_HEADER)), item.file_size, name)
        with archive.open(item) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except WorldError:
        raise
    except (ValueError, EOFError, zlib.error) as error:
        raise WorldError(f"{name:.60}", "an array of numbers", str(error)) from None


def _require_shape(file: io.BytesIO, size: int, name: str) -> None:
    """Refuse an array that says it is larger than its part of the file: room is made for it."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise WorldError(f"{name:.60}", "an array of numbers", f"format {version}")
    shape, _, dtype = read(file)
    count = math.prod(shape)
    if dtype.kind not in "biuf" or count > MOST_VOXELS or count * dtype.itemsize > size:
        expected = f"at most {MOST_VOXELS:,} numbers"
        raise WorldError(f"{name:.60}", expected, f"{dtype} {list(shape)}")
