"""Many drones in one PyBullet world: one server, one step and one contact query for all of them.

The physics of each drone is that of `sim.bullet.BulletEngine`; besides, drones collide with each
other, as spheres. Needs PyBullet.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from sim.airframe import Airframe
from sim.bullet import build, connect, load_airframe, pybullet
from sim.bullet.floats import (
    Vector,
    added,
    into_body,
    nearer,
    rotor_wrench,
    wind_push,

)
from sim.engine import Door, EngineError, EngineInputError, Wind, mass_scale_of, wind_of
from sim.state import State, rotate
from sim.urdf import urdf_of
from sim.world import World

PARKED = 1000.0
"""Where drones wait that have left the world: so far above and beside it [m]."""


class BulletSwarm:
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
            world: where; its obstacles must stand still.
            count: of drones.
            mass_scale: true mass and inertia over the airframe's.
            wind: velocity of the air [m/s], world frame.

        Raises:
            EngineError: no physics server can be started.
            EngineInputError: naming the argument that is not right.
            WorldError: an obstacle moves.
        """
        if count < 1:
            raise EngineInputError(f"count: expected 1 or more, got {count}")
        self.airframe, self.world, self.count = airframe, world, count
        self.doors = [Door(airframe) for _ in range(count)]
        self.flying = np.zeros(count, bool)
        self._wind, scale = wind_of(wind), mass_scale_of(mass_scale)
        self._mass = scale * airframe.mass
        self._rows = airframe.mixer.tolist()
        self.client = connect()
        try:
            first = build(self.client, airframe, world, scale)
            self._bodies = [first, *(self._another(scale) for _ in range(count - 1))]
            self._saved = pybullet.saveState(physicsClientId=self.client)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> BulletSwarm:
        """The swarm itself."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close the swarm."""
        self.close()

    def reset(self, states: State) -> State:
        """Place the drones; counts restart.

        Args:
            states: of them all, each field `[count, ...]`.

        Raises:
            EngineError: the swarm was closed, or its server is gone.
            EngineInputError: if the states are not those of so many drones, or not finite.
        """
        placed = states.as_numpy()
        for name, value in vars(placed).items():
            if value.shape[:-1] != (self.count,) or not np.isfinite(value).all():
                raise EngineInputError(f"{name}: expected {self.count} finite rows, got {value!r}")
        spins = rotate(placed.quaternion, placed.angular_velocity)
        self._positions = [tuple(row) for row in placed.position.tolist()]
        self._velocities = [tuple(row) for row in placed.velocity.tolist()]
        self._quaternions = [tuple(row) for row in placed.quaternion.tolist()]
        self._spins = [tuple(row) for row in placed.angular_velocity.tolist()]
        self._lagged = list(self._quaternions)
        try:
            pybullet.restoreState(self._saved, physicsClientId=self.client)
            for i, spin in enumerate(spins.tolist()):
                self.doors[i].clear()
                self._set_present(i, present=True)
                self._place(i, self._positions[i], self._velocities[i], tuple(spin))
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error
        return self._states()

    def step(
        self, forces: Float[np.ndarray, "count 4"]
    ) -> tuple[State, Bool[np.ndarray, " count"]]:
        """One tick, as those of `sim.engine.Engine`, under the rotor forces [N] of each drone.

        Args:
            forces: those of drones that have left the world are not looked at.

        Returns:
            The states after the tick (a drone that has left keeps its last one), and which drones
            touch a solid or each other there.

        Raises:
            EngineError: the swarm was closed, or its server is gone.
            EngineInputError: if there are not four numbers for each drone.
        """
        if len(forces) != self.count:
            raise EngineInputError(f"forces: expected {self.count} rows, got {len(forces)}")
        present, client = np.flatnonzero(self.flying).tolist(), self.client
        rows = forces.tolist()
        try:
            for i in present:
                force, torque = self._wrench(i, self.doors[i].admit(rows[i]))
                body = self._bodies[i]
                pybullet.applyExternalForce(
                    body, -1, force, self._positions[i], pybullet.WORLD_FRAME, client
                )
                pybullet.applyExternalTorque(body, -1, torque, pybullet.WORLD_FRAME, client)
            pybullet.stepSimulation(client)
            pybullet.performCollisionDetection(client)
            points = pybullet.getContactPoints(physicsClientId=client)
            for i in present:
                self._read(i)
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error
        touching = {body for point in points if point[8] <= 0.0 for body in point[1:3]}
        contacts = [bool(self.flying[i]) and self._bodies[i] in touching for i in range(self.count)]
        return self._states(), np.array(contacts)

    def leave(self, drone: int) -> None:
        """Take a drone out of the world: nothing meets it any more.

        Raises:
            EngineError: the swarm was closed, or its server is gone.
        """
        still = (0.0, 0.0, 0.0)
        away = (PARKED, PARKED, PARKED + 10.0 * drone)
        try:
            self._set_present(drone, present=False)
            self._place(drone, away, still, still)
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error

    def close(self) -> None:
        """Stop the physics server. Closing twice is fine."""
        if self.client >= 0 and pybullet.isConnected(self.client):
            pybullet.disconnect(self.client)
        self.client = -1

    def _another(self, scale: float) -> int:
        return load_airframe(self.client, urdf_of(self.airframe, scale))

    def _set_present(self, drone: int, present: bool) -> None:
        """Whether anything can meet the drone."""
        self.flying[drone] = present
        mask = -1 if present else 0
        pybullet.setCollisionFilterGroupMask(
            self._bodies[drone], -1, int(present), mask, physicsClientId=self.client
        )

    def _place(self, drone: int, position: Vector, velocity: Vector, spin: Vector) -> None:
        body, turn = self._bodies[drone], self._quaternions[drone]
        pybullet.resetBasePositionAndOrientation(body, position, turn, physicsClientId=self.client)
        pybullet.resetBaseVelocity(body, velocity, spin, physicsClientId=self.client)

    def _read(self, drone: int) -> None:
        """Take over what the step made of a drone."""
        body, client = self._bodies[drone], self.client
        position, quaternion = pybullet.getBasePositionAndOrientation(body, client)
        velocity, spin = pybullet.getBaseVelocity(body, client)
        before = self._quaternions[drone]
        quaternion = nearer(quaternion, before)
        self._lagged[drone], self._quaternions[drone] = before, quaternion
        self._positions[drone], self._velocities[drone] = position, velocity
        self._spins[drone] = into_body(quaternion, spin)

    def _states(self) -> State:
        return State(
            np.array(self._positions),
            np.array(self._velocities),
            np.array(self._quaternions),
            np.array(self._spins),
        )

    def _wrench(self, drone: int, forces: list[float]) -> tuple[Vector, Vector]:
        """Force [N] and torque [N m] on a drone, world frame; see `BulletEngine`."""
        wrench = rotor_wrench(self._rows, forces)
        force, torque = world_wrench(wrench, self._quaternions[drone], self._lagged[drone])
        if self._wind == (0.0, 0.0, 0.0):
            return force, torque
        return added(force, wind_push(self._mass, self._velocities[drone], self._wind)), torque
