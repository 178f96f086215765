"""How far bodies can move before they can touch anything: away from solids nobody need ask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Float

from sim.bullet.body import Body
from sim.bullet.floats import Vector
from sim.shapes import Boxes, Cylinders, Obstacle, Spheres
from sim.world import World

MARGIN = 2e-3
"""PyBullet's contacts are this exact, and more [m]."""
SKIN = 0.025
"""Nearer than this to a solid, PyBullet's next step may feel it [m]; its own number is 0.02."""
LEAST = 5e-3
"""With less room than this, contacts are asked for at every tick [m]."""


class Solids:
    """What stands in a world, the ground included.

    Attributes:
        fastest: speed of the fastest of them [m/s].
        time: at which they stand where they are, since the flight began [s].
    """

    fastest = 0.0
    time = 0.0

    def __init__(self, world: World) -> None:
        """Prepare for a world whose obstacles stand still."""
        self._hold(world.obstacles)

    def _hold(self, obstacles: Iterable[Obstacle]) -> None:
        packed = [kind.pack(obstacles) for kind in (Cylinders, Spheres, Boxes)]
        self._kinds = [solids for solids in packed if len(solids.center)]

    def _standing(self) -> list[Cylinders | Spheres | Boxes]:
        """The obstacles of each kind that there is, where they are now."""
        return self._kinds

    def nearest(self, points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
        """Distance of each point to the nearest of them [m]; negative inside."""
        nearest = points[:, 2].copy()
        for solids in self._standing():
            np.minimum(nearest, solids.distances(points).min(axis=-1), out=nearest)
        return nearest


class Room:
    """The ball around the last place that was looked at, in which nothing solid is."""

    def __init__(self, solids: Solids, radius: float, tell: Callable[[bool], None]) -> None:
        """Prepare.

        Args:
            solids: which there are; they stand still.
            radius: of the body's sphere [m].
            tell: called after each look with whether there is room around the body.
        """
        self._solids, self._radius, self._tell = solids, radius + MARGIN + SKIN, tell
        self.forget()

    def forget(self) -> None:
        """Look anew at the next question."""
        self._x = self._y = self._z = 0.0
        self._square, self._clear = -1.0, False

    def holds(self, position: Vector) -> bool:
        """Whether a sphere at `position` [m], world frame, is surely clear of everything solid."""
        x, y, z = position
        dx, dy, dz = x - self._x, y - self._y, z - self._z
        if dx * dx + dy * dy + dz * dz < self._square:
            return self._clear
        return self._look(position)

    def _look(self, position: Vector) -> bool:
        room = float(self._solids.nearest(np.array([position]))[0]) - self._radius
        # Written so that nan fails it. Where there is none, the next look is due as soon.
        self._clear = room > LEAST
        reach = room if self._clear else LEAST
        (self._x, self._y, self._z), self._square = position, reach * reach
        self._tell(self._clear)
        return self._clear


class MovingRoom(Room):
    """The same among solids that move: the ball shrinks as what is outside it may come nearer."""

    def forget(self) -> None:
        """Look anew at the next question."""
        super().forget()
        self._when = 0.0

    def holds(self, position: Vector) -> bool:
        """Whether a sphere at `position` [m], world frame, is surely clear of everything solid."""
        # The same shrinkage where there is no room: a look is due as soon as anything has changed.
        elapsed = self._solids.time - self._when
        left = math.sqrt(max(self._square, 0.0)) - self._solids.fastest * elapsed
        if math.dist(position, (self._x, self._y, self._z)) < left:
            return self._clear
        return self._look(position)

    def _look(self, position: Vector) -> bool:
        self._when = self._solids.time
        return super()._look(position)


class SharedRoom:
    """The same for several bodies in one world, none of which touches another in its ball."""

    def __init__(self, solids: Solids, radius: float, tell: Callable[[bool], None]) -> None:
        """Prepare; see `Room`. Among solids that move, every question is a look."""
        self._solids, self._radius, self._tell = solids, radius + MARGIN + SKIN, tell
        self._still = solids.fastest == 0
        self.follow(())

    def follow(self, bodies: Sequence[Body]) -> None:
        """Answer for these bodies, and look anew at the next question."""
        self._bodies = list(bodies)
        self._balls: list[tuple[Body, float, float, float, float]] = []
        self._clear = False

    def holds(self) -> bool:
        """Read where the bodies are; whether their spheres are all surely clear of everything."""
        if not self._balls:
            for body in self._bodies:
                body.read()
            return self._look()
        inside = True
        for body, cx, cy, cz, square in self._balls:
            x, y, z = body.read()
            dx, dy, dz = x - cx, y - cy, z - cz
            # Written so that nan fails it.
            if not dx * dx + dy * dy + dz * dz < square:
                inside = False
        return self._clear if inside and self._still else self._look()

    def _look(self) -> bool:
        points = np.array([body.position for body in self._bodies]).reshape(-1, 3)
        gaps = points[:, None] - points
        squares = (gaps * gaps).sum(axis=-1)
        np.fill_diagonal(squares, np.inf)
        halves = np.sqrt(squares.min(axis=-1, initial=np.inf)) / 2
        room = np.minimum(self._solids.nearest(points), halves) - self._radius
        self._clear = bool((room > LEAST).all())
        reach = np.where(room > LEAST, room, LEAST)
        squares = (reach * reach).tolist()
        self._balls = [
            (body, *body.position, square)
            for body, square in zip(self._bodies, squares, strict=True)
        ]
        self._tell(self._clear)
        return self._clear
