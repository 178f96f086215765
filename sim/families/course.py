"""What every family shares: where a flight starts, where it goes, how fast, and in what space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from sim.families.draws import Draws, tidy
from sim.shapes import Obstacle, distances_of
from sim.world import Vector, World

HALF_WIDTH = 7.0
HEIGHT = 4.0
BEHIND, BEYOND = 2.0, 4.0
"""Room behind the start and beyond the target [m]."""
START_ROOM, TARGET_ROOM = 0.9, 0.7
"""No obstacle is nearer to the start, or to the target [m]."""
TARGET_RADIUS = 0.5
PATIENCE = 2.5


@dataclass(frozen=True)
class Course:
    """The task of a generated world, before anything stands in its way.

    Attributes:
        start: [m].
        start_yaw: about towards the target [rad].
        target: 8 to 15 m from the start [m].
        speed: set speed [m/s].
        via: points to pass on the way, in order [m].
        target_radius: each point is reached within this distance [m].
        bounds: of the space that must not be left [m]; by default the usual width and height, from
            behind the start to beyond the target.
        patience: the time limit is 5 s more than so many times the length over the speed.
        time_limit: [s]; where it is given, it is that whatever the speed.
        room: no obstacle is nearer to the start, or to the target [m].
    """

    start: Vector
    start_yaw: float
    target: Vector
    speed: float
    via: tuple[Vector, ...] = ()
    target_radius: float = TARGET_RADIUS
    bounds: tuple[Vector, Vector] | None = None
    patience: float = PATIENCE
    time_limit: float | None = None
    room: tuple[float, float] = (START_ROOM, TARGET_ROOM)

    @classmethod
    def draw(cls, draws: Draws) -> Course:
        """Draw a course of the usual kind."""
        distance = draws.uniform(8.0, 15.0)
        start = (0.0, 0.0, draws.uniform(1.0, 2.0))
        y, z = draws.uniform(-3.0, 3.0), draws.uniform(1.0, 2.0)
        x = tidy(math.sqrt(distance**2 - y**2 - (z - start[2]) ** 2))
        yaw = tidy(math.atan2(y, x) + draws.uniform(-0.3, 0.3))
        return cls(start, yaw, (x, y, z), draws.uniform(1.0, 3.0))

    @property
    def length(self) -> float:
        """Straight from the start over every via to the target [m]."""
        points = (self.start, *self.via, self.target)
        return sum(map(math.dist, points[:-1], points[1:]))

    def at(self, fraction: float) -> Vector:
        """The point at a fraction of the straight line from start to target [m]."""
        x, y, z = (a + fraction * (b - a) for a, b in zip(self.start, self.target, strict=True))
        return x, y, z

    def clear(self, obstacles: Sequence[Obstacle]) -> Bool[np.ndarray, " n"]:
        """Which obstacles leave room to take off from rest, and to arrive."""
        ends = np.array([self.start, self.target])
        room = np.array(self.room)[:, None]
        return np.logical_and.reduce(distances_of(obstacles, ends) >= room, axis=0)

    def world(self, obstacles: Sequence[Obstacle]) -> World:
        """The course with obstacles on it."""
        usual = (
            (-BEHIND, -HALF_WIDTH, 0.0),
            (tidy(self.target[0] + BEYOND), HALF_WIDTH, HEIGHT),
        )
        limit = self.time_limit
        return World(
            bounds=usual if self.bounds is None else self.bounds,
            obstacles=tuple(obstacles),
            start_position=self.start,
            start_yaw=self.start_yaw,
            target=self.target,
            target_radius=self.target_radius,
            via=self.via,
            speed=self.speed,
            time_limit=tidy(5 + self.patience * self.length / self.speed)
            if limit is None
            else limit,
        )
