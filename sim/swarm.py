"""Many drones in one PyBullet world: one server, one step and one contact query for all of them.

The physics of each drone is that of `sim.bullet.BulletEngine`; besides, drones collide with each
other, as spheres. Needs PyBullet.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from sim.airframe import Airframe
from sim.bullet import pybullet
from sim.bullet.body import ALL, NOTHING
from sim.bullet.contacts import in_contact
from sim.bullet.floats import Wrench, rotor_wrench
from sim.bullet.room import SharedRoom
from sim.bullet.server import Server, place
from sim.closing import Closing
from sim.engine import (
    Door,
    EngineError,
    EngineInputError,
    Wind,
    mass_scale_of,
    numbers_of,
    ticks_of,
    wind_of,
)
from sim.state import State
from sim.world import World

_step = pybullet.stepSimulation

PARKED = 1000.0
"""Where drones wait that have left the world: so far above and beside it [m]."""


class BulletSwarm(Closing):
    """Drones in one world.

    Attributes:
        airframe: of each of them.
        world: where.
        count: of drones.
        doors: where the forces of each drone enter; limits are counted there.
        flying: which drones are in the world.
    """

    def __init__(
        self,
        airframe: Airframe,
        world: World,
        count: int,
        *,
        mass_scale: float = 1.0,
        wind: Wind = (0.0, 0.0, 0.0),
    ) -> None:
        """Build `world`; the drones are placed by `reset`.

        Args:
            airframe: what flies.
            world: where.
            count: of drones.
            mass_scale: true mass and inertia over the airframe's.
            wind: velocity of the air [m/s], world frame.

        Raises:
            EngineError: no physics server can be started.
            EngineInputError: naming the argument that is not right.
        """
        if count < 1:
            raise EngineInputError(f"count: expected 1 or more, got {count}")
        self.airframe, self.world, self.count = airframe, world, count
        self.doors = [Door(airframe) for _ in range(count)]
        self.flying = np.zeros(count, bool)
        self._wind, self._mixer = wind_of(wind), airframe.mixer.tolist()
        self._calm = self._wind == (0.0, 0.0, 0.0)
        self._server = Server(airframe, world, mass_scale_of(mass_scale), count)
        solids, radius = self._server.solids, airframe.collision_radius
        self._room = SharedRoom(solids, radius, self._fly_aloft)
        self._bodies, self._begun = self._server.bodies, False

    @property
    def client(self) -> int:
        """PyBullet's id of the server; -1 once it is closed."""
        return self._server.client

    def reset(self, states: State) -> State:
        """Place the drones; counts restart.

        Args:
            states: of them all, each field `[count, ...]`.

        Raises:
            EngineError: the swarm was closed, or its server is gone.
            EngineInputError: if the states are not those of so many drones, or not finite.
        """
        placed = State(**{name: numbers_of(name, part) for name, part in vars(states).items()})
        for name, value in vars(placed).items():
            if value.shape[:-1] != (self.count,) or not np.isfinite(value).all():
                raise EngineInputError(f"{name}: expected {self.count} finite rows, got {value!r}")
        try:
            for drone, door in enumerate(self.doors):
                door.clear()
                self._set_present(drone, present=True)
            self._server.restore()
            for drone, body in enumerate(self._bodies):
                place(body, State(*(value[drone] for value in vars(placed).values())))
        except pybullet.error as error:
            raise self._server.lost(error) from error
        self._rows = np.concatenate(list(vars(placed).values()), axis=1)
        self._begun = True
        return placed

    def step(
        self, forces: Float[np.ndarray, "count 4"], ticks: int = 1
    ) -> tuple[State, Bool[np.ndarray, " count"]]:
        """Ticks, as those of `sim.engine.Engine`, under the rotor forces [N] of each drone.

        Args:
            forces: those of drones that have left the world are not looked at.
            ticks: how many; in one call they cost less.

        Returns:
            The states after them (a drone that has left keeps its last one), and which drones
            touched a solid or each other after any.

        Raises:
            EngineError: the swarm was closed, or its server is gone, or it was never reset.
            EngineInputError: if there are not four numbers for each drone, or no tick.
        """
        if not self._begun:
            raise EngineError("swarm: expected a reset before the first step")
        if len(forces) != self.count:
            raise EngineInputError(f"forces: expected {self.count} rows, got {len(forces)}")
        ticks, rows, touched = ticks_of(ticks), forces.tolist(), set[int]()
        wrenches = [
            rotor_wrench(self._mixer, self.doors[i].admit(rows[i], ticks)) for i in self._present
        ]
        try:
            for _ in range(ticks):
                self._tick(wrenches, touched)
            states = self._read()
        except pybullet.error as error:
            raise self._server.lost(error) from error
        contacts = np.zeros(self.count, bool)
        if touched:
            contacts[self._present] = [body.number in touched for body in self._there]
        return states, contacts

    def leave(self, drone: int) -> None:
        """Take a drone out of the world: nothing meets it any more.

        Raises:
            EngineError: the swarm was closed, or its server is gone.
        """
        still, level = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
        away = (PARKED, PARKED, PARKED + 10.0 * drone)
        try:
            self._set_present(drone, present=False)
            self._bodies[drone].move(away, still, level, still)
        except pybullet.error as error:
            raise self._server.lost(error) from error

    def close(self) -> None:
        """Stop the physics server. Closing twice is fine."""
        self._server.close()

    def _set_present(self, drone: int, present: bool) -> None:
        """Whether anything can meet the drone."""
        self.flying[drone] = present
        self._present = np.flatnonzero(self.flying).tolist()
        self._there = [self._bodies[i] for i in self._present]
        self._room.follow(self._there)
        self._bodies[drone].meet(ALL if present else NOTHING)

    def _fly_aloft(self, aloft: bool) -> None:
        for body in self._there:
            body.fly_aloft(aloft)

    def _tick(self, wrenches: list[Wrench], touched: set[int]) -> None:
        """Move those that are there; add the bodies that touch anything afterwards."""
        client = self._server.client
        for body, wrench in zip(self._there, wrenches, strict=True):
            body.push(wrench)
        if not self._calm:
            for body in self._there:
                body.blow(self._wind)
        if self._server.movers is not None:
            self._server.movers.tick()
        _step(client)
        if not self._room.holds():
            touched |= in_contact(client)

    def _read(self) -> State:
        """The states after a step, those of drones that have left as they were."""
        told: list[float] = []
        for body in self._there:
            velocity, spin = body.motion()
            told += *body.position, *velocity, *body.quaternion, *spin
        rows = np.array(told).reshape(-1, 13)
        if len(rows) < self.count:
            self._rows[self._present] = rows
            rows = self._rows
        self._rows = rows.copy()
        return State(rows[:, :3], rows[:, 3:6], rows[:, 6:10], rows[:, 10:])
