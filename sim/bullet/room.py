"""How far a body can move before it can touch anything: away from solids nobody need ask."""

from __future__ import annotations

import numpy as np

from sim.bullet.floats import Vector
from sim.bullet.near import Near
from sim.shapes import Boxes, Cylinders, Spheres
from sim.world import World

MARGIN = 2e-3
"""PyBullet's contacts are this exact, and more [m]."""
LEAST = 5e-3
"""Nearer than this to a solid, contacts are asked for at every tick [m]."""


class Room:
    """The ball around the last place that was looked at, in which nothing solid is."""

    def __init__(self, world: World, radius: float, near: Near | None = None) -> None:
        """Prepare for a world whose obstacles stand still, and a sphere of `radius` [m].

        Args:
            world: where.
            radius: of the sphere [m].
            near: what is held of a large world; it must follow the sphere.
        """
        self._near = near
        obstacles = world.obstacles if near is None else ()
        packed = [kind.pack(obstacles) for kind in (Cylinders, Spheres, Boxes)]
        self._solids = [solids for solids in packed if len(solids.center)]
        self._radius = radius + MARGIN
        self.forget()

    def forget(self) -> None:
        """Look anew at the next question."""
        self._x = self._y = self._z = 0.0
        self._square = -1.0

    def holds(self, position: Vector) -> bool:
        """Whether a sphere at `position` [m], world frame, is surely clear of everything solid."""
        x, y, z = position
        dx, dy, dz = x - self._x, y - self._y, z - self._z
        if dx * dx + dy * dy + dz * dz < self._square:
            return True
        point, nearest = np.array(position), z
        if self._near is not None:
            nearest = min(nearest, self._near.clearance(position))
        for solids in self._solids:
            nearest = min(nearest, float(solids.distances(point).min()))
        room = nearest - self._radius
        # Written so that nan fails it.
        if not room > LEAST:
            self._square = -1.0
            return False
        self._x, self._y, self._z, self._square = x, y, z, room * room
        return True
