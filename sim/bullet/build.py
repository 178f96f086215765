"""What a physics server of PyBullet holds: the ground, obstacles, one airframe.

Obstacles are bodies of their own in maximal coordinates: in one compound body PyBullet misses
contacts, and as multibodies they are slow. Those that move are put where they belong from outside
(`sim.bullet.movers`); here all of them stand where they start.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pybullet

from sim.airframe import Airframe
from sim.engine import EngineError, EngineInputError
from sim.twin import PHYSICS_HZ
from sim.urdf import urdf_of
from sim.world import Box, Cylinder, Obstacle, Sphere, World

COLOURS = {
    "cylinder": (0.47, 0.56, 0.44, 1.0),
    "sphere": (0.62, 0.51, 0.41, 1.0),
    "box": (0.45, 0.52, 0.63, 1.0),
}
GROUND_COLOUR = (0.86, 0.85, 0.81, 1.0)
GROUND_THICKNESS = 0.02
STATIC, GROUND, ALOFT = 2, 64, 128
"""Collision groups, bits: of what stands (PyBullet's), of the ground, of bodies that pass it by."""
_QUARTER = math.sqrt(0.5)
_AXIS_TURNS = {
    "x": (0.0, _QUARTER, 0.0, _QUARTER),
    "y": (_QUARTER, 0.0, 0.0, _QUARTER),
    "z": (0.0, 0.0, 0.0, 1.0),
}


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


def disconnect(client: int) -> None:
    """Stop a physics server, if it is still there."""
    if client >= 0 and pybullet.isConnected(client):
        pybullet.disconnect(client)


def build(
    client: int, airframe: Airframe, world: World, mass_scale: float = 1.0, visual: bool = False
) -> int:
    """Put the ground, the obstacles and the airframe into an empty server, in this order.

    Args:
        client: PyBullet's id of the server.
        airframe: what flies.
        world: where.
        mass_scale: true mass and inertia over the airframe's.
        visual: also make what there is to see.

    Returns:
        PyBullet's id of the airframe's body.

    Raises:
        EngineError: the server refuses.
    """
    try:
        pybullet.setTimeStep(1 / PHYSICS_HZ, physicsClientId=client)
        pybullet.setGravity(0, 0, -airframe.gravity, physicsClientId=client)
        _add_ground(client, world, visual)
        add_obstacles(client, world, visual)
        return load_airframe(client, urdf_of(airframe, mass_scale, visual))
    except pybullet.error as error:
        raise EngineError(f"physics server: expected it to build, got: {error}") from error


def add_obstacles(client: int, world: World, visual: bool = False) -> list[int]:
    """Put the obstacles of a world into a server; PyBullet's ids of them, in their order."""
    return [add_obstacle(client, obstacle, visual) for obstacle in world.obstacles]


def obstacle_bodies(client: int, world: World) -> list[int]:
    """PyBullet's ids of the obstacles in a server that `build` has filled, in their order."""
    count = len(world.obstacles)
    return [pybullet.getBodyUniqueId(1 + i, physicsClientId=client) for i in range(count)]


def turn_of(obstacle: Obstacle) -> tuple[float, float, float, float]:
    """The quaternion (xyzw) of an obstacle's body."""
    if isinstance(obstacle, Cylinder):
        return _AXIS_TURNS[obstacle.axis]
    if isinstance(obstacle, Box):
        return 0.0, 0.0, math.sin(obstacle.yaw / 2), math.cos(obstacle.yaw / 2)
    return 0.0, 0.0, 0.0, 1.0


def add_obstacle(client: int, obstacle: Obstacle, visual: bool = False) -> int:
    """Put one obstacle into a server, as one static body; PyBullet's id of it."""
    if isinstance(obstacle, Cylinder):
        kind = pybullet.GEOM_CYLINDER
        solid = {"radius": obstacle.radius, "height": obstacle.height}
        seen = {"radius": obstacle.radius, "length": obstacle.height}
    elif isinstance(obstacle, Sphere):
        kind, solid = pybullet.GEOM_SPHERE, {"radius": obstacle.radius}
        seen = solid
    elif isinstance(obstacle, Box):
        kind, solid = pybullet.GEOM_BOX, {"halfExtents": obstacle.half_extents}
        seen = solid
    else:
        raise EngineInputError(f"obstacle: expected a Cylinder, Sphere or Box, got {obstacle!r}")
    shape = pybullet.createCollisionShape(kind, physicsClientId=client, **solid)
    look = -1
    if visual:
        colour = COLOURS[obstacle.SHAPE]
        look = pybullet.createVisualShape(kind, rgbaColor=colour, physicsClientId=client, **seen)
    place, turn = obstacle.center, turn_of(obstacle)
    body = pybullet.createMultiBody(
        0, shape, look, place, turn, useMaximalCoordinates=True, physicsClientId=client
    )
    pybullet.setCollisionFilterGroupMask(body, -1, STATIC, ~(STATIC | GROUND), client)
    return body


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
    body = pybullet.createMultiBody(
        0, plane, look, useMaximalCoordinates=True, physicsClientId=client
    )
    pybullet.setCollisionFilterGroupMask(body, -1, GROUND, ~(STATIC | ALOFT), client)


def load_airframe(client: int, text: str) -> int:
    """Load a URDF from its text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "airframe.urdf"
        path.write_text(text, encoding="utf-8")
        return pybullet.loadURDF(
            str(path), flags=pybullet.URDF_USE_INERTIA_FROM_FILE, physicsClientId=client
        )
