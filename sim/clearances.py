"""How far a flight stayed from everything solid: exact, in float64, whatever jax is set to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from sim.motion import any_moves
from sim.shapes import Obstacle, balls_around, distances_of
from sim.world import World

_MOST_PAIRS = 1_000_000
"""Pairs of a point and an obstacle that are looked at together, to bound the memory."""
_FEW = 256
"""Of no more obstacles than this all are looked at from every point."""
_TOGETHER = 64
"""Points that share a choice of obstacles, in large worlds: on a path they lie side by side."""


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
    # What moves on is nearest to others than at the start.
    choose = len(world.obstacles) > _FEW and times is None
    near = _Near(world.obstacles) if choose else None
    count = count if near is None else _TOGETHER
    for first in range(0, len(points), count):
        some = slice(first, first + count)
        when = None if times is None else times[some]
        obstacles = world.obstacles if near is None else near.to(points[some])
        distances = distances_of(obstacles, points[some], when).min(axis=-1, initial=np.inf)
        nearest[some] = np.minimum(nearest[some], distances)
    return np.where(finite, nearest - radius, np.nan)


class _Near:
    """Chooses obstacles by the balls around them."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        self._obstacles = obstacles
        self._middles, self._radii = balls_around(obstacles)

    def to(self, points: Float[np.ndarray, "T 3"]) -> list[Obstacle]:
        """All that can be the nearest obstacle to one of the points."""
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        spread = np.linalg.norm(points - middle, axis=1).max()
        least = np.linalg.norm(self._middles - middle, axis=1) - self._radii
        # From point to point a distance changes by no more than the way between them.
        most = distances_of([self._obstacles[int(least.argmin())]], middle)[0] + 2 * spread
        chosen = np.flatnonzero(least <= most + 1e-6).tolist()
        return [self._obstacles[index] for index in chosen]
