"""How far a flight stayed from everything solid: exact, in float64, whatever jax is set to."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from sim.motion import any_moves
from sim.shapes import distances_of
from sim.world import World

_MOST_PAIRS = 1_000_000
"""Pairs of a point and an obstacle that are looked at together, to bound the memory."""


def clearance(
    world: World,
    radius: float,
    points: Float[np.ndarray, "T 3"],
    times: Float[np.ndarray, " T"] | None = None,
) -> Float[np.ndarray, " T"]:
    """Distance from a sphere to the nearest obstacle or the ground [m]; negative inside.

    Args:
        world: any.
        radius: of the sphere [m].
        points: its centres, world frame [m]; a point that is not finite gets nan.
        times: since the flight began [s], to which obstacles that move have moved on; 0 if None.
    """
    if times is not None:
        times = times.astype(np.float64) if any_moves(world.obstacles) else None
    points = points.astype(np.float64)
    finite = np.logical_and.reduce(np.isfinite(points), axis=1)
    points = np.where(finite[:, None], points, 0.0)
    nearest = points[:, 2].copy()
    count = max(1, _MOST_PAIRS // max(1, len(world.obstacles)))
    for first in range(0, len(points), count):
        some = slice(first, first + count)
        when = None if times is None else times[some]
        distances = distances_of(world.obstacles, points[some], when)
        distances = distances.min(axis=-1, initial=np.inf)
        nearest[some] = np.minimum(nearest[some], distances)
    return np.where(finite, nearest - radius, np.nan)
