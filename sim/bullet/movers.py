"""Bodies of obstacles that move, and how far away they are.

They are bodies without mass that are put where the law of `sim.motion` has them: nothing stops them
or pushes them aside. They get there before the server's step: what bounces off is then stopped at
where they are when the tick ends (put there after it, they would stop a drone that only comes to
where they have just been).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pybullet

from sim.bullet.build import obstacle_bodies, turn_of
from sim.bullet.room import Solids
from sim.motion import Velocities, any_moves, fastest
from sim.shapes import Boxes, Cylinders, Spheres
from sim.twin import PHYSICS_HZ
from sim.world import World

_put = pybullet.resetBasePositionAndOrientation


class Movers:
    """The bodies of a world's obstacles that move.

    Attributes:
        time: for which they stand where they are [s].
    """

    def __init__(self, client: int, world: World, bodies: Sequence[int]) -> None:
        """Know them.

        Args:
            client: PyBullet's id of the server.
            world: whose obstacles they are.
            bodies: PyBullet's ids of all its obstacles, in their order.
        """
        self._client, self.time, self._ticks = client, 0.0, 0
        self._rows = [
            (body, item.center, item.velocity, turn_of(item))
            for body, item in zip(bodies, world.obstacles, strict=True)
            if any(item.velocity)
        ]

    def reset(self) -> None:
        """Put them where they start."""
        self._ticks = 0
        self.place(0.0)

    def tick(self) -> None:
        """Move on to where they are at the end of the next tick: before the server's step."""
        self._ticks += 1
        self.place(self._ticks / PHYSICS_HZ)

    def place(self, time: float) -> None:
        """Put them where they stand so long after the start [s]."""
        self.time = time
        for body, (x, y, z), (vx, vy, vz), turn in self._rows:
            _put(body, (x + time * vx, y + time * vy, z + time * vz), turn, self._client)


def movers_of(client: int, world: World) -> Movers | None:
    """Those in a server that `build` has filled; None if nothing moves."""
    if not any_moves(world.obstacles):
        return None
    return Movers(client, world, obstacle_bodies(client, world))


class MovingSolids(Solids):
    """What stands and moves in a world, the ground included, wherever `movers` are."""

    def __init__(self, world: World, movers: Movers) -> None:
        """Prepare; `movers` knows the time."""
        packed = [kind.pack(world.obstacles) for kind in (Cylinders, Spheres, Boxes)]
        counts = tuple(len(solids.center) for solids in packed)
        speeds = Velocities.pack(world.obstacles, counts)
        moving = zip(packed, (speeds.cylinders, speeds.spheres, speeds.boxes), strict=True)
        self._moving = [(solids, velocity) for solids, velocity in moving if len(velocity)]
        self._movers, self.fastest = movers, fastest(world.obstacles)

    @property
    def time(self) -> float:
        """That of the movers."""
        return self._movers.time

    def _standing(self) -> list[Cylinders | Spheres | Boxes]:
        return [
            replace(solids, center=solids.center + self.time * velocity)
            for solids, velocity in self._moving
        ]
