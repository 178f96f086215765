"""A file of obstacles of any kind that is known, told by its ending."""

from __future__ import annotations

import os
from pathlib import Path

from sim import world_file
from sim.fields import WorldError
from sim.imports.sdf import obstacles_of_sdf
from sim.imports.solids import Tilted
from sim.imports.urdf import obstacles_of_urdf
from sim.imports.voxels import load_voxels
from sim.shapes import Obstacle


def load_obstacles(
    path: str | os.PathLike[str], tilted: Tilted = "refuse", threshold: float | None = None
) -> list[Obstacle]:
    """The obstacles of a `.urdf`, `.sdf` or `.npz` file.

    Args:
        path: of the file, at most 10 MB.
        tilted: what becomes of boxes and cylinders that no shape here is exact for; see
            `sim.imports.solids.solid`.
        threshold: above which a voxel counts as occupied; see `load_voxels`.

    Raises:
        WorldError: naming the element or the array that is not right, or `file`.
    """
    ending = Path(path).suffix.lower()
    if ending == ".npz":
        return list(load_voxels(path, threshold))
    if ending == ".urdf":
        return obstacles_of_urdf(world_file.read(path), tilted)
    if ending == ".sdf":
        return obstacles_of_sdf(world_file.read(path), tilted)
    raise WorldError("file", "a name ending in .urdf, .sdf or .npz", os.fspath(path))
