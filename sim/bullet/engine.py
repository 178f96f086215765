"""PyBullet as an engine: exact, with contacts, and few calls a tick.

The airframe is one link; what PyBullet would do to forces on rotor links (they act along the
orientation of one step ago, see `sim.twin`) is put into one wrench in world axes.

It knows its world: what else is put into its server is felt, but away from the world's obstacles
nobody asks whether it is touched. Of a large world, its server holds what is near the drone.
"""

from __future__ import annotations

import time

import numpy as np
import pybullet

from sim.airframe import Airframe
from sim.bullet.contacts import in_contact
from sim.bullet.floats import Vector, Wrench, rotor_wrench
from sim.bullet.room import MovingRoom, Room
from sim.bullet.server import Server, place
from sim.closing import Closing
from sim.engine import (
    Door,
    Forces,
    Others,
    Wind,
    mass_scale_of,
    others_of,
    start_of,
    ticks_of,
    wind_of,
)
from sim.physics import PLAIN, Physics, air_wrench
from sim.rotors import turn_rotors
from sim.state import State, rotate
from sim.twin import PHYSICS_HZ
from sim.world import World

_step = pybullet.stepSimulation
_CALM = (0.0, 0.0, 0.0)


class BulletEngine(Closing):
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
            world: where.
            mass_scale: true mass and inertia over the airframe's.
            wind: velocity of the air [m/s], world frame, unless `step` is told otherwise.
            gui: open PyBullet's window and fly at the speed of the clock.
            physics: what there is besides rigid-body motion.

        Raises:
            EngineError: no physics server can be started.
            EngineInputError: naming the argument that is not right.
            PhysicsError: the airframe lacks what the physics needs.
        """
        physics.check(airframe)
        self.airframe, self.world, self.door = airframe, world, Door(airframe)
        self.wind, self.physics, self._plain = wind_of(wind), physics, physics.plain
        self._rows = airframe.mixer.tolist()
        self._clock = time.perf_counter() if gui else None
        self._server = Server(airframe, world, mass_scale_of(mass_scale), gui=gui)
        self._body = self._server.bodies[0]
        room = Room if self._server.movers is None else MovingRoom
        self._room = room(self._server.solids, airframe.collision_radius, self._body.fly_aloft)
        try:
            self.reset()
        except BaseException:
            self.close()
            raise

    @property
    def client(self) -> int:
        """PyBullet's id of the server; -1 once it is closed."""
        return self._server.client

    @property
    def body(self) -> int:
        """PyBullet's id of the airframe."""
        return self._body.number

    def reset(self, state: State | None = None) -> State:
        """Place the drone: at `state`, or (None) at rest at the world's start; counts restart.

        Raises:
            EngineError: the engine was closed, or its server is gone.
            EngineInputError: if the state is not that of one body, or not finite.
        """
        placed = start_of(self.world, state)
        self.door.clear()
        self._room.forget()
        try:
            self._body.fly_aloft(False)
            self._server.restore()
            place(self._body, placed)
            if self._server.near is not None:
                self._server.near.follow(self._body.position)
        except pybullet.error as error:
            raise self._server.lost(error) from error
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
        body, client, holds = self._body, self._server.client, self._room.holds
        push, read, clock, movers = body.push, body.read, self._clock, self._server.movers
        calm, touched = self._plain and air == _CALM, False
        wrench = rotor_wrench(self._rows, admitted)
        try:
            for _ in range(ticks):
                if calm:
                    push(wrench)
                else:
                    self._push(admitted, air, near)
                if movers is not None:
                    movers.tick()
                _step(client)
                position = read()
                if clock is not None:
                    clock = self._clock = _wait(clock + 1 / PHYSICS_HZ)
                if not holds(position):
                    touched = bool(in_contact(client, body.number)) or touched
            velocity, spin = body.motion()
        except pybullet.error as error:
            raise self._server.lost(error) from error
        state = State(
            np.array(body.position), np.array(velocity), np.array(body.quaternion), np.array(spin)
        )
        return state, touched

    def _push(self, forces: list[float], wind: Vector, others: np.ndarray | None) -> None:
        """Push with what there is besides rotors that obey: the air, and what ails them."""
        body = self._body
        wrench, more = rotor_wrench(self._rows, forces), None
        if not self._plain:
            wrench, more = self._options(forces, others)
        body.push(wrench)
        if wind != _CALM:
            body.blow(wind)
        if more is not None:
            body.push_more(*more)

    def _options(
        self, forces: list[float], others: np.ndarray | None
    ) -> tuple[Wrench, tuple[Vector, Vector]]:
        """Wrench of imperfect rotors; force [N] and torque [N m] of the air, world frame."""
        body, airframe, physics = self._body, self.airframe, self.physics
        acting, speeds = np.array(forces), None
        if self._rotors is not None:
            speeds = self._rotors.speeds
            self._rotors, acting = turn_rotors(
                airframe, physics.rotors, self._rotors, acting, 1 / PHYSICS_HZ
            )
        x, v, q, lagged = map(
            np.array, (body.position, body.velocity(), body.quaternion, body.lagged)
        )
        at = State(x, v, q, np.zeros(3))
        push, twist = air_wrench(airframe, physics, at, lagged, acting, speeds, others)
        more = tuple(push.tolist()), tuple(rotate(q, twist).tolist())
        return rotor_wrench(self._rows, acting.tolist()), more

    def close(self) -> None:
        """Stop the physics server. Closing twice is fine."""
        self._server.close()


def _wait(until: float) -> float:
    """Sleep until a time of the performance counter; return that time, or now if it has passed."""
    now = time.perf_counter()
    if now < until:
        time.sleep(until - now)
        return until
    return now
