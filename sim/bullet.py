"""PyBullet as an engine: exact, with contacts, and few calls a tick.

The airframe is one link; what PyBullet would do to forces on rotor links (they act along the
orientation of one step ago, see `sim.twin`) is put into one wrench in world axes.

Obstacles are bodies of their own in maximal coordinates: in one compound body PyBullet misses
contacts, and as multibodies they are slow.
"""

from __future__ import annotations

import math
import operator
import tempfile
import time
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pybullet

from sim.airframe import Airframe
from sim.engine import (
    Door,
    EngineError,
    EngineInputError,
    Forces,
    Others,
    Wind,
    mass_scale_of,
    others_of,
    start_of,
    state_of,
    wind_of,
)
from sim.fields import WorldError
from sim.physics import PLAIN, Physics, air_wrench
from sim.rotors import turn_rotors
from sim.state import State, rotate
from sim.twin import DAMPING, PHYSICS_HZ
from sim.urdf import urdf_of
from sim.world import Box, Cylinder, Obstacle, Sphere, World

Vector: TypeAlias = tuple[float, float, float]
COLOURS = {
    "cylinder": (0.47, 0.56, 0.44, 1.0),
    "sphere": (0.62, 0.51, 0.41, 1.0),
    "box": (0.45, 0.52, 0.63, 1.0),
}
GROUND_COLOUR = (0.86, 0.85, 0.81, 1.0)
GROUND_THICKNESS = 0.02
_QUARTER = math.sqrt(0.5)
_AXIS_TURNS = {
    "x": (0.0, _QUARTER, 0.0, _QUARTER),
    "y": (_QUARTER, 0.0, 0.0, _QUARTER),
    "z": (0.0, 0.0, 0.0, 1.0),
}


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
            self.body = build(self.client, airframe, world, self._mass_scale, visual=gui)
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
        try:
            # Contacts of the last flight must not linger in the solver.
            pybullet.restoreState(self._saved, physicsClientId=self.client)
            pybullet.resetBasePositionAndOrientation(
                self.body, placed.position, placed.quaternion, physicsClientId=self.client
            )
            pybullet.resetBaseVelocity(
                self.body, placed.velocity, spin, physicsClientId=self.client
            )
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error
        self._position = tuple(placed.position.tolist())
        self._quaternion = self._lagged = tuple(placed.quaternion.tolist())
        self._velocity = tuple(placed.velocity.tolist())
        self._rotors = self.physics.start(self.airframe)
        return placed

    def step(
        self, forces: Forces, wind: Wind | None = None, others: Others | None = None
    ) -> tuple[State, bool]:
        """One tick; see `sim.engine.Engine.step`.

        Raises:
            EngineError: the engine was closed, or its server is gone.
            EngineInputError: forces, wind or others are not numbers of the right count.
        """
        admitted, air = self.door.admit(forces), self.wind if wind is None else wind_of(wind)
        near = None if others is None else others_of(others)
        if self._plain:
            force, torque = self._wrench(admitted, air)
        else:
            force, torque = self._options(admitted, air, near)
        client, body = self.client, self.body
        try:
            pybullet.applyExternalForce(
                body, -1, force, self._position, pybullet.WORLD_FRAME, physicsClientId=client
            )
            pybullet.applyExternalTorque(
                body, -1, torque, pybullet.WORLD_FRAME, physicsClientId=client
            )
            pybullet.stepSimulation(physicsClientId=client)
            # The step's own contacts are those of the state before it.
            pybullet.performCollisionDetection(physicsClientId=client)
            points = pybullet.getContactPoints(body, physicsClientId=client)
            position, quaternion = pybullet.getBasePositionAndOrientation(
                body, physicsClientId=client
            )
            velocity, spin = pybullet.getBaseVelocity(body, physicsClientId=client)
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error
        # PyBullet gives either of the two quaternions of an orientation: stay on the same one.
        if sum(map(operator.mul, quaternion, self._quaternion)) < 0:
            x, y, z, w = quaternion
            quaternion = (-x, -y, -z, -w)
        self._lagged, self._quaternion = self._quaternion, quaternion
        self._position, self._velocity = position, velocity
        state = State(
            np.array(position),
            np.array(velocity),
            np.array(quaternion),
            np.array(_into_body(quaternion, spin)),
        )
        if self._clock is not None:
            self._clock = _wait(self._clock + 1 / PHYSICS_HZ)
        return state, any(point[8] <= 0.0 for point in points)

    def _options(
        self, forces: list[float], wind: Vector, others: np.ndarray | None
    ) -> tuple[Vector, Vector]:
        """The wrench of `_wrench` with imperfect rotors and what the air adds."""
        airframe, physics, acting, speeds = self.airframe, self.physics, np.array(forces), None
        if self._rotors is not None:
            speeds = self._rotors.speeds
            self._rotors, acting = turn_rotors(
                airframe, physics.rotors, self._rotors, acting, 1 / PHYSICS_HZ
            )
        x, v, q, lagged = map(
            np.array, (self._position, self._velocity, self._quaternion, self._lagged)
        )
        body = State(x, v, q, np.zeros(3))
        push, twist = air_wrench(airframe, physics, body, lagged, acting, speeds, others)
        (fx, fy, fz), (tx, ty, tz) = self._wrench(acting.tolist(), wind)
        (px, py, pz), (rx, ry, rz) = push.tolist(), rotate(q, twist).tolist()
        return (fx + px, fy + py, fz + pz), (tx + rx, ty + ry, tz + rz)

    def close(self) -> None:
        """Stop the physics server. Closing twice is fine."""
        if self.client >= 0 and pybullet.isConnected(self.client):
            pybullet.disconnect(self.client)
        self.client = -1

    def _wrench(self, forces: list[float], wind: Vector) -> tuple[Vector, Vector]:
        """Force [N] and torque [N m] on the body, world frame; plain floats, for speed."""
        thrust, torque_x, torque_y, torque_z = (
            sum(map(operator.mul, row, forces)) for row in self._rows
        )
        x, y, z, w = self._lagged
        ux, uy, uz = 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)
        # The lever, sum of f_i P_i = (-torque_y, torque_x, 0), turned into the world.
        x, y, z, w = self._quaternion
        lx = -(1 - 2 * (y * y + z * z)) * torque_y + 2 * (x * y - z * w) * torque_x
        ly = -2 * (x * y + z * w) * torque_y + (1 - 2 * (x * x + z * z)) * torque_x
        lz = -2 * (x * z - y * w) * torque_y + 2 * (y * z + x * w) * torque_x
        torque = (
            ly * uz - lz * uy + torque_z * ux,
            lz * ux - lx * uz + torque_z * uy,
            lx * uy - ly * ux + torque_z * uz,
        )
        fx, fy, fz = thrust * ux, thrust * uy, thrust * uz
        if wind != (0.0, 0.0, 0.0):
            vx, vy, vz = self._velocity
            rx, ry, rz = vx - wind[0], vy - wind[1], vz - wind[2]
            still = self._mass * DAMPING * (1 + math.sqrt(vx * vx + vy * vy + vz * vz))
            moving = self._mass * DAMPING * (1 + math.sqrt(rx * rx + ry * ry + rz * rz))
            fx += still * vx - moving * rx
            fy += still * vy - moving * ry
            fz += still * vz - moving * rz
        return (fx, fy, fz), torque


def connect(gui: bool = False) -> int:
    """Start a physics server of our own.

    Raises:
        EngineError: it does not start (a window needs a display; servers are limited in number).
    """
    try:
        client = pybullet.connect(pybullet.GUI if gui else pybullet.DIRECT)
    except pybullet.error as error:
        raise EngineError(f"physics server: expected it to start, got: {error}") from error
    if client < 0:
        raise EngineError(f"physics server: expected it to start, got client {client}")
    return client


def build(
    client: int, airframe: Airframe, world: World, mass_scale: float = 1.0, visual: bool = False
) -> int:
    """Put the ground, the obstacles and the airframe into an empty server.

    Args:
        client: PyBullet's id of the server.
        airframe: what flies.
        world: where.
        mass_scale: true mass and inertia over the airframe's.
        visual: also make what there is to see.

    Returns:
        PyBullet's id of the airframe's body.

    Raises:
        WorldError: an obstacle moves.
        EngineError: the server refuses.
    """
    try:
        pybullet.setTimeStep(1 / PHYSICS_HZ, physicsClientId=client)
        pybullet.setGravity(0, 0, -airframe.gravity, physicsClientId=client)
        _add_ground(client, world, visual)
        add_obstacles(client, world, visual)
        return _load(client, urdf_of(airframe, mass_scale, visual))
    except pybullet.error as error:
        raise EngineError(f"physics server: expected it to build, got: {error}") from error


def add_obstacles(client: int, world: World, visual: bool = False) -> None:
    """Put the obstacles of a world into a server.

    Raises:
        WorldError: an obstacle moves.
    """
    for index, obstacle in enumerate(world.obstacles):
        if any(obstacle.velocity):
            expected = "0, 0, 0 (moving obstacles are not simulated)"
            raise WorldError(f"obstacles[{index}].velocity", expected, obstacle.velocity)
    for obstacle in world.obstacles:
        _add(client, obstacle, visual)


def _add(client: int, obstacle: Obstacle, visual: bool) -> None:
    """One obstacle as one static body."""
    turn = (0.0, 0.0, 0.0, 1.0)
    if isinstance(obstacle, Cylinder):
        kind, turn = pybullet.GEOM_CYLINDER, _AXIS_TURNS[obstacle.axis]
        solid = {"radius": obstacle.radius, "height": obstacle.height}
        seen = {"radius": obstacle.radius, "length": obstacle.height}
    elif isinstance(obstacle, Sphere):
        kind, solid = pybullet.GEOM_SPHERE, {"radius": obstacle.radius}
        seen = solid
    elif isinstance(obstacle, Box):
        kind, solid = pybullet.GEOM_BOX, {"halfExtents": obstacle.half_extents}
        seen = solid
        turn = (0.0, 0.0, math.sin(obstacle.yaw / 2), math.cos(obstacle.yaw / 2))
    else:
        raise EngineInputError(f"obstacle: expected a Cylinder, Sphere or Box, got {obstacle!r}")
    shape = pybullet.createCollisionShape(kind, physicsClientId=client, **solid)
    look = -1
    if visual:
        colour = COLOURS[obstacle.SHAPE]
        look = pybullet.createVisualShape(kind, rgbaColor=colour, physicsClientId=client, **seen)
    pybullet.createMultiBody(
        0, shape, look, obstacle.center, turn, useMaximalCoordinates=True, physicsClientId=client
    )


def _add_ground(client: int, world: World, visual: bool) -> None:
    """The plane z = 0; it looks like a slab under the world."""
    plane = pybullet.createCollisionShape(
        pybullet.GEOM_PLANE, planeNormal=[0, 0, 1], physicsClientId=client
    )
    look = -1
    if visual:
        (x0, y0, _), (x1, y1, _) = world.bounds
        look = pybullet.createVisualShape(
            pybullet.GEOM_BOX,
            halfExtents=[(x1 - x0) / 2 + 2, (y1 - y0) / 2 + 2, GROUND_THICKNESS / 2],
            visualFramePosition=[(x0 + x1) / 2, (y0 + y1) / 2, -GROUND_THICKNESS / 2],
            rgbaColor=GROUND_COLOUR,
            physicsClientId=client,
        )
    pybullet.createMultiBody(0, plane, look, useMaximalCoordinates=True, physicsClientId=client)


def _load(client: int, text: str) -> int:
    """Load a URDF from its text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "airframe.urdf"
        path.write_text(text, encoding="utf-8")
        return pybullet.loadURDF(
            str(path), flags=pybullet.URDF_USE_INERTIA_FROM_FILE, physicsClientId=client
        )


def _into_body(
    quaternion: tuple[float, float, float, float], vector: tuple[float, float, float]
) -> tuple[float, float, float]:
    """World to body in plain floats: R(quaternion)^T vector."""
    x, y, z, w = quaternion
    vx, vy, vz = vector
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return (
        vx - w * tx + y * tz - z * ty,
        vy - w * ty + z * tx - x * tz,
        vz - w * tz + x * ty - y * tx,
    )


def _wait(until: float) -> float:
    """Sleep until a time of the performance counter; return that time, or now if it has passed."""
    now = time.perf_counter()
    if now < until:
        time.sleep(until - now)
        return until
    return now
