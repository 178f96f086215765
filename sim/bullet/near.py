"""Of a large world a server holds only what is near the drone: all of it would cost every tick.

PyBullet looks at every body in every step: two thousand that stand still take fifty times as long
as a step without them. Here bodies come and go as the drone flies. None is ever missing: distances
change by no more than the way flown, and what is not held was `HELD` away when it was last looked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pybullet
from jaxtyping import Float

from sim.bullet.build import add_obstacle
from sim.bullet.floats import Vector
from sim.bullet.room import Solids
from sim.motion import any_moves
from sim.shapes import Obstacle, balls_around, distances_of
from sim.world import World

MOST_HELD = 256
"""Worlds of more obstacles than this are held in part."""
HELD = 3.0
"""What is nearer when the drone is looked at anew is held [m]."""
LEAST = 0.5
"""What is not held is never nearer than this to the drone's middle [m]."""


def is_large(world: World) -> bool:
    """Whether only a part of a world is held: it has many obstacles, and all stand still."""
    return len(world.obstacles) > MOST_HELD and not any_moves(world.obstacles)


class Near(Solids):
    """The obstacles near the drone, as bodies in a server: those that it can meet."""

    def __init__(self, client: int, world: World) -> None:
        """Hold nothing yet.

        Args:
            client: PyBullet's id of the server, in which none of the obstacles is.
            world: whose obstacles stand still.
        """
        self._client, self._obstacles = client, world.obstacles
        self._middles, self._radii = balls_around(world.obstacles)
        self._bodies: dict[int, int] = {}
        self._anchor: Vector = (math.nan, math.nan, math.nan)
        self._hold(())

    def clear(self) -> None:
        """Take every body away.

        Raises:
            pybullet.error: the server refuses.
        """
        for body in self._bodies.values():
            pybullet.removeBody(body, physicsClientId=self._client)
        self._bodies, self._anchor = {}, (math.nan, math.nan, math.nan)

    def follow(self, position: Sequence[float]) -> None:
        """Have at hand what is near a position [m], world frame.

        To be told where a flight begins; from then on, `nearest` follows. In the ball around a
        place in which its answer says that nothing is, nothing is missing either.

        Raises:
            pybullet.error: the server refuses.
        """
        # Written so that nan, of which the first anchor is made, looks anew.
        if math.dist(position, self._anchor) <= HELD - LEAST:
            return
        x, y, z = position
        self._anchor: Vector = (x, y, z)
        near = self._within_reach(np.array(position))
        for index in [index for index in self._bodies if index not in near]:
            pybullet.removeBody(self._bodies.pop(index), physicsClientId=self._client)
        for index, obstacle in near.items():
            if index not in self._bodies:
                self._bodies[index] = add_obstacle(self._client, obstacle)
        self._hold(near.values())

    def nearest(self, points: Float[np.ndarray, "1 3"]) -> Float[np.ndarray, " 1"]:
        """No more than the distance of the drone from the nearest solid [m].

        Raises:
            pybullet.error: the server refuses.
        """
        (position,) = points.tolist()
        self.follow(position)
        unheld = HELD - math.dist(position, self._anchor)
        return np.minimum(super().nearest(points), unheld)

    def _within_reach(self, point: np.ndarray) -> dict[int, Obstacle]:
        """The obstacles nearer than `HELD`, by their number."""
        far = np.linalg.norm(self._middles - point, axis=1) - self._radii
        some = np.flatnonzero(far < HELD).tolist()
        distances = distances_of([self._obstacles[index] for index in some], point)
        return {
            index: self._obstacles[index]
            for index, distance in zip(some, distances, strict=True)
            if distance < HELD
        }
