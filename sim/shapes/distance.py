"""Distances from obstacles as people write them: numpy, for checks and for making worlds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from sim.shapes.box import Box, Boxes
from sim.shapes.cylinder import Cylinder, Cylinders
from sim.shapes.sphere import Sphere, Spheres

Obstacle: TypeAlias = Cylinder | Sphere | Box


def balls_around(
    obstacles: Sequence[Obstacle],
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    """Middle and radius [m] of the ball around each of at least one obstacle."""
    middles = np.array([obstacle.center for obstacle in obstacles])
    sizes = np.array([obstacle.half_size for obstacle in obstacles])
    return middles, np.linalg.norm(sizes, axis=1)


def distances_of(
    obstacles: Sequence[Obstacle],
    points: Float[np.ndarray, "*points 3"],
    times: Float[np.ndarray, "*points"] | None = None,
) -> Float[np.ndarray, "*points n"]:
    """Exact signed distance of each point from each obstacle [m], obstacles in their order.

    Args:
        obstacles: of any kind.
        points: world frame [m].
        times: since the start [s], to which obstacles that move have moved on; 0 if None.
    """
    result = np.empty((*points.shape[:-1], len(obstacles)))
    for kind, pack in ((Cylinder, Cylinders), (Sphere, Spheres), (Box, Boxes)):
        indices = [i for i, obstacle in enumerate(obstacles) if isinstance(obstacle, kind)]
        if indices:
            shapes = pack.pack(obstacles)
            if times is not None:
                velocity = np.array([obstacles[i].velocity for i in indices])
                shapes = replace(shapes, center=shapes.center + times[..., None, None] * velocity)
            result[..., indices] = shapes.distances(points)
    return result
