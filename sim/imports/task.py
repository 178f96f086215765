"""A world of obstacles that somebody else has placed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import no_type_check

import numpy as np

from sim import fields
from sim.families.course import PATIENCE, TARGET_RADIUS
from sim.shapes import Obstacle
from sim.world import Vector, World

MARGIN = 2.0
"""Room between what there is and the bounds [m]."""
SPEED = 2.0


@no_type_check  # At run time only: it makes its own, better errors.
def world_from(
    obstacles: Sequence[Obstacle],
    start: Vector,
    target: Vector,
    *,
    start_yaw: float | None = None,
    via: Sequence[Vector] = (),
    target_radius: float = TARGET_RADIUS,
    speed: float = SPEED,
    time_limit: float | None = None,
    bounds: tuple[Vector, Vector] | None = None,
) -> World:
    """A world with a task in it.

    Args:
        obstacles: what stands there.
        start: [m].
        target: [m].
        start_yaw: [rad]; towards the first via or the target by default.
        via: points to pass, in order [m].
        target_radius: each point is reached within this distance [m].
        speed: set speed [m/s].
        time_limit: [s]; by default as in the families, by distance over speed.
        bounds: lower and upper corner of the space that must not be left [m]; by default 2 m
            around all obstacles and points, from the ground up.

    Raises:
        WorldError: naming the field that is not right.
    """
    begin, end = fields.vector(start, "start.position"), fields.vector(target, "target")
    points = [begin, *(fields.vector(point, f"via[{i}]") for i, point in enumerate(via)), end]
    if start_yaw is None:
        start_yaw = math.atan2(points[1][1] - begin[1], points[1][0] - begin[0])
    if time_limit is None:
        length = sum(map(math.dist, points[:-1], points[1:]))
        time_limit = 5 + PATIENCE * length / fields.positive(speed, "speed")
    return World(
        bounds=_around(obstacles, points) if bounds is None else bounds,
        obstacles=tuple(obstacles),
        start_position=begin,
        start_yaw=start_yaw,
        target=end,
        target_radius=target_radius,
        via=tuple(points[1:-1]),
        speed=speed,
        time_limit=time_limit,
    )


def _around(obstacles: Sequence[Obstacle], points: Sequence[Vector]) -> tuple[Vector, Vector]:
    """Bounds around everything."""
    middles = np.array([*points, *(item.center for item in obstacles)])
    sizes = np.array([*([(0.0, 0.0, 0.0)] * len(points)), *(item.half_size for item in obstacles)])
    low, high = (middles - sizes).min(axis=0) - MARGIN, (middles + sizes).max(axis=0) + MARGIN
    lower, upper = low.tolist(), high.tolist()
    return (lower[0], lower[1], 0.0), (upper[0], upper[1], upper[2])
