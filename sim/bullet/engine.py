"""PyBullet as an engine: exact, with contacts, and few calls a tick.

The airframe is one link; what PyBullet would do to forces on rotor links (they act along the
orientation of one step ago, see `sim.twin`) is put into one wrench in world axes.

It knows its world: what else is put into its server is felt, but away from the world's obstacles
nobody asks whether it is touched. Of a large world, its server holds what is near the drone.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pybullet

from sim.airframe import Airframe
from sim.bullet.build import build, connect
from sim.bullet.floats import (
    Turn,
    Vector,
    added,
    into_body,
    nearer,
    rotor_wrench,
    wind_push,
    world_wrench,
)
from sim.bullet.near import Near, is_large
from sim.bullet.room import Room
from sim.engine import (
    Door,
    EngineError,
    Forces,
    Others,
    Wind,
    mass_scale_of,
    others_of,
    start_of,
    state_of,
    ticks_of,
    wind_of,
)
from sim.physics import PLAIN, Physics, air_wrench
from sim.rotors import turn_rotors
from sim.state import State, rotate
from sim.twin import PHYSICS_HZ
from sim.world import World

_apply_force, _apply_torque = pybullet.applyExternalForce, pybullet.applyExternalTorque
_step, _pose = pybullet.stepSimulation, pybullet.getBasePositionAndOrientation
_WORLD = pybullet.WORLD_FRAME


class BulletEngine:
    """PyBullet as an engine; a physics server of its own, in this process unless `gui`."""

    def __init__(
        self,
        airframe: Airframe,
        world: World,
        *,
        mass_scale: float = 1.0,
        wind: Wind = (0.0, 0.0, 0.0),
        gui: bool = False,
        physics: Physics = PLAIN,
    ) -> None:
        """Build `world` and place `airframe` at its start.

        Args:
            airframe: what flies.
            world: where; its obstacles must stand still.
            mass_scale: true mass and inertia over the airframe's.
            wind: velocity of the air [m/s], world frame, unless `step` is told otherwise.
            gui: open PyBullet's window and fly at the speed of the clock.
            physics: what there is besides rigid-body motion.

        Raises:
            EngineError: no physics server can be started.
            EngineInputError: naming the argument that is not right.
            PhysicsError: the airframe lacks what the physics needs.
            WorldError: an obstacle moves.
        """
        physics.check(airframe)
        self.airframe, self.world, self.door = airframe, world, Door(airframe)
        self.wind, self.physics, self._plain = wind_of(wind), physics, physics.plain
        self._mass_scale = mass_scale_of(mass_scale)
        self._mass = self._mass_scale * airframe.mass
        self._rows = [tuple(float(value) for value in row) for row in airframe.mixer]
        self._clock = time.perf_counter() if gui else None
        self.client = connect(gui)
        try:
            # A window shows all there is, at the speed of the clock.
            self._near = Near(self.client, world) if is_large(world) and not gui else None
            self._room = Room(world, airframe.collision_radius, self._near)
            built = world if self._near is None else replace(world, obstacles=())
            self.body = build(self.client, airframe, built, self._mass_scale, visual=gui)
            self._saved = pybullet.saveState(physicsClientId=self.client)
            self.reset()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> BulletEngine:
        """The engine itself."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close the engine."""
        self.close()

    def reset(self, state: State | None = None) -> State:
        """Place the drone: at `state`, or (None) at rest at the world's start; counts restart.

        Raises:
            EngineError: the engine was closed, or its server is gone.
            EngineInputError: if the state is not that of one body, or not finite.
        """
        placed = start_of(self.world) if state is None else state_of(state)
        spin = rotate(placed.quaternion, placed.angular_velocity)
        self.door.clear()
        self._room.forget()
        try:
            if self._near is not None:
                self._near.clear()
            # Contacts of the last flight must not linger in the solver.
            pybullet.restoreState(self._saved, physicsClientId=self.client)
            pybullet.resetBasePositionAndOrientation(
                self.body, placed.position, placed.quaternion, physicsClientId=self.client
            )
            pybullet.resetBaseVelocity(
                self.body, placed.velocity, spin, physicsClientId=self.client
            )
            self._position = tuple(placed.position.tolist())
            if self._near is not None:
                self._near.follow(self._position)
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error
        self._quaternion: Turn = tuple(placed.quaternion.tolist())
        self._lagged = self._quaternion
        self._rotors = self.physics.start(self.airframe)
        return placed

    def step(
        self,
        forces: Forces,
        wind: Wind | None = None,
        others: Others | None = None,
        ticks: int = 1,
    ) -> tuple[State, bool]:
        """One command, for some ticks; see `sim.engine.Engine.step`.

        Raises:
            EngineError: the engine was closed, or its server is gone.
            EngineInputError: forces, wind, others or ticks are not numbers of the right count.
        """
        ticks = ticks_of(ticks)
        admitted = self.door.admit(forces, ticks)
        air = self.wind if wind is None else wind_of(wind)
        near = None if others is None else others_of(others)
        wrench, touched = rotor_wrench(self._rows, admitted), False
        try:
            for _ in range(ticks):
                if not self._plain:
                    force, torque = self._options(admitted, air, near)
                else:
                    force, torque = world_wrench(wrench, self._quaternion, self._lagged)
                    if air != (0.0, 0.0, 0.0):
                        force = added(force, wind_push(self._mass, self._velocity(), air))
                touched = self._tick(force, torque) or touched
            velocity, spin = pybullet.getBaseVelocity(self.body, physicsClientId=self.client)
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error
        state = State(
            np.array(self._position),
            np.array(velocity),
            np.array(self._quaternion),
            np.array(into_body(self._quaternion, spin)),
        )
        return state, touched

    def _tick(self, force: Vector, torque: Vector) -> bool:
        """Move; whether there is a contact afterwards. Arguments by place: names cost a tenth."""
        client, body = self.client, self.body
        _apply_force(body, -1, force, self._position, _WORLD, client)
        _apply_torque(body, -1, torque, _WORLD, client)
        _step(client)
        self._position, turn = _pose(body, client)
        self._lagged, self._quaternion = self._quaternion, nearer(turn, self._quaternion)
        if self._near is not None:
            self._near.follow(self._position)
        if self._clock is not None:
            self._clock = _wait(self._clock + 1 / PHYSICS_HZ)
        if self._room.holds(self._position):
            return False
        # The step's own contacts are those of the state before it.
        pybullet.performCollisionDetection(physicsClientId=client)
        points = pybullet.getContactPoints(body, physicsClientId=client)
        return any(point[8] <= 0.0 for point in points)

    def _velocity(self) -> Vector:
        return pybullet.getBaseVelocity(self.body, physicsClientId=self.client)[0]

    def _options(
        self, forces: list[float], wind: Vector, others: np.ndarray | None
    ) -> tuple[Vector, Vector]:
        """Force and torque, world frame, with imperfect rotors and what the air adds."""
        airframe, physics, acting, speeds = self.airframe, self.physics, np.array(forces), None
        if self._rotors is not None:
            speeds = self._rotors.speeds
            self._rotors, acting = turn_rotors(
                airframe, physics.rotors, self._rotors, acting, 1 / PHYSICS_HZ
            )
        velocity = self._velocity()
        x, v, q, lagged = map(np.array, (self._position, velocity, self._quaternion, self._lagged))
        body = State(x, v, q, np.zeros(3))
        push, twist = air_wrench(airframe, physics, body, lagged, acting, speeds, others)
        wrench = rotor_wrench(self._rows, acting.tolist())
        force, torque = world_wrench(wrench, self._quaternion, self._lagged)
        if wind != (0.0, 0.0, 0.0):
            force = added(force, wind_push(self._mass, velocity, wind))
        return added(force, tuple(push.tolist())), added(torque, tuple(rotate(q, twist).tolist()))

    def close(self) -> None:
        """Stop the physics server. Closing twice is fine."""
        if self.client >= 0 and pybullet.isConnected(self.client):
            pybullet.disconnect(self.client)
        self.client = -1


def _wait(until: float) -> float:
    """Sleep until a time of the performance counter; return that time, or now if it has passed."""
    now = time.perf_counter()
    if now < until:
        time.sleep(until - now)
        return until
    return now
