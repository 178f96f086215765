"""Distances from obstacles as people write them: numpy, for checks and for making worlds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from sim.shapes.box import Box, Boxes
from sim.shapes.cylinder import Cylinder, Cylinders
from sim.shapes.sphere import Sphere, Spheres

Obstacle: TypeAlias = Cylinder | Sphere | Box


def distances_of(
    obstacles: Sequence[Obstacle], points: Float[np.ndarray, "*points 3"]
) -> Float[np.ndarray, "*points n"]:
    """Exact signed distance of each point from each obstacle [m], obstacles in their order."""
    result = np.empty((*points.shape[:-1], len(obstacles)))
    for kind, pack in ((Cylinder, Cylinders), (Sphere, Spheres), (Box, Boxes)):
        indices = [i for i, obstacle in enumerate(obstacles) if isinstance(obstacle, kind)]
        if indices:
            result[..., indices] = pack.pack(obstacles).distances(points)
    return result
