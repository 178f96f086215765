"""Pictures of a flight, drawn in software: no display needed.

A `Stage` is a world to look at in a physics server of its own, so that any flight (also one of
the twin) can be shown after it was flown, and showing it never touches its physics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from sim.airframe import Airframe
from sim.bullet import BulletEngine, build, connect, disconnect, movers_of, pybullet
from sim.closing import Closing
from sim.engine import EngineError, start_of
from sim.state import AnyArray, State
from sim.world import World

Point: TypeAlias = Sequence[float] | Float[AnyArray, " 3"]
TARGET_COLOUR = (0.93, 0.66, 0.22, 1.0)
LINE_COLOUR = (0.76, 0.75, 0.71, 1.0)
SHADOW_COLOUR = (0.45, 0.45, 0.44, 1.0)
SKY_COLOUR = (222, 231, 238)
MOST_LINES = 40
FIELD_OF_VIEW = 60.0
"""Vertical field of view [degrees]."""
NEAR, FAR = 0.05, 60.0
"""What is nearer or farther is not drawn [m]."""


class Stage(Closing):
    """A world, its target and a drone, to be looked at."""

    def __init__(self, airframe: Airframe, world: World) -> None:
        """Set up the scene, the drone at the start of `world`.

        Args:
            airframe: what flies.
            world: where.

        Raises:
            EngineError: no physics server can be started.
        """
        self.client = connect()
        try:
            self.body = build(self.client, airframe, world, visual=True)
            self._movers = movers_of(self.client, world)
            self._shadow = _add_shadow(self.client, airframe)
            _add_lines(self.client, world)
            for point in (world.target, *world.via):
                _add_marker(self.client, point, world.target_radius)
            self.show(start_of(world))
        except BaseException:
            self.close()
            raise

    def show(self, state: State, time: float = 0.0) -> None:
        """Put the drone where it is in `state`.

        Args:
            state: of the drone.
            time: since the flight began [s], for obstacles that move.

        Raises:
            EngineError: the stage was closed.
        """
        position = np.asarray(state.position).tolist()
        poses = (
            (self.body, position, np.asarray(state.quaternion).tolist()),
            (self._shadow, [*position[:2], 0.0], [0, 0, 0, 1]),
        )
        try:
            if self._movers is not None:
                self._movers.place(time)
            for body, place, turn in poses:
                pybullet.resetBasePositionAndOrientation(
                    body, place, turn, physicsClientId=self.client
                )
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error

    def close(self) -> None:
        """Take the stage down. Closing twice is fine."""
        disconnect(self.client)
        self.client = -1


def render(
    scene: Stage | BulletEngine | int,
    eye: Point,
    look_at: Point,
    width: int = 320,
    height: int = 240,
) -> UInt8[np.ndarray, "height width 3"]:
    """Draw what an eye sees; z is up in the picture.

    Args:
        scene: a stage, an engine (with nothing to see in it unless it has a window), or PyBullet's
            id of a physics server.
        eye: where the camera is, world frame [m].
        look_at: what is in the middle of the picture, world frame [m].
        width: [pixels].
        height: [pixels].

    Returns:
        Red, green and blue, row by row from the top.

    Raises:
        ValueError: the picture has no pixels, or there is no direction to look in.
        EngineError: the physics server is gone.
    """
    if width < 1 or height < 1:
        raise ValueError(f"width, height: expected at least 1 pixel, got {width} x {height}")
    eye, look_at = [float(value) for value in eye], [float(value) for value in look_at]
    if not 0 < math.dist(eye, look_at) < math.inf:
        raise ValueError(f"look_at: expected a finite point apart from the eye, got {look_at}")
    # Straight up and down have no "up" in the picture: let x point up there.
    level = math.dist(eye[:2], look_at[:2]) > 1e-6 * math.dist(eye, look_at)
    view = pybullet.computeViewMatrix(eye, look_at, [0, 0, 1] if level else [1, 0, 0])
    projection = pybullet.computeProjectionMatrixFOV(FIELD_OF_VIEW, width / height, NEAR, FAR)
    try:
        _, _, pixels, depth, _ = pybullet.getCameraImage(
            width,
            height,
            view,
            projection,
            lightDirection=[0.4, -0.5, 1.0],
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=scene if isinstance(scene, int) else scene.client,
        )
    except pybullet.error as error:
        raise EngineError(f"physics server: expected it to answer, got: {error}") from error
    image = np.array(pixels, np.uint8).reshape(height, width, 4)[..., :3]
    nothing = np.asarray(depth).reshape(height, width, 1) >= 1
    return np.where(nothing, np.array(SKY_COLOUR, np.uint8), image)


def chase_view(
    state: State, heading: float, distance: float = 0.9, height: float = 0.35
) -> tuple[list[float], list[float]]:
    """An eye behind and above the drone that looks a little ahead of it.

    Args:
        state: of the drone.
        heading: direction that counts as ahead [rad], from x towards y.
        distance: of the eye behind the drone [m].
        height: of the eye above the drone [m].

    Returns:
        Eye and point to look at, world frame [m]; the eye stays above the ground.
    """
    x, y, z = np.asarray(state.position).tolist()
    ahead_x, ahead_y = math.cos(heading), math.sin(heading)
    eye = [x - distance * ahead_x, y - distance * ahead_y, max(z + height, 2 * NEAR)]
    return eye, [x + distance * ahead_x, y + distance * ahead_y, z]


def _add_marker(client: int, point: Sequence[float], radius: float) -> None:
    """A ball at a target (smaller than the target, not to hide the drone in it), a disc below."""
    x, y, z = point
    ball = pybullet.createVisualShape(
        pybullet.GEOM_SPHERE, radius=0.4 * radius, rgbaColor=TARGET_COLOUR, physicsClientId=client
    )
    pybullet.createMultiBody(0, -1, ball, [x, y, z], physicsClientId=client)
    _add_disc(client, radius, TARGET_COLOUR, [x, y, 0.0])


def _add_shadow(client: int, airframe: Airframe) -> int:
    """What tells the eye how high the drone is."""
    return _add_disc(client, airframe.collision_radius, SHADOW_COLOUR, [0.0, 0.0, 0.0])


def _add_disc(client: int, radius: float, colour: Sequence[float], place: Sequence[float]) -> int:
    """A thin disc on the ground, just above the lines."""
    look = pybullet.createVisualShape(
        pybullet.GEOM_CYLINDER,
        radius=radius,
        length=0.03,
        rgbaColor=colour,
        physicsClientId=client,
    )
    return pybullet.createMultiBody(0, -1, look, place, physicsClientId=client)


def _add_lines(client: int, world: World) -> None:
    """A grid on the ground, as one mesh: whole metres, or as many as keep the lines few."""
    lower, upper = np.array(world.bounds)[:, :2]
    spacing = max(1, math.ceil(sum(upper - lower) / MOST_LINES))
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    vertices: list[list[float]] = []
    for axis in (0, 1):
        half = (upper - lower) / 2
        half[axis] = 0.012
        for place in np.arange(math.ceil(lower[axis]), upper[axis] + 1e-9, spacing):
            middle = (lower + upper) / 2
            middle[axis] = place
            vertices += [[x, y, 0.008] for x, y in (middle + corners * half).tolist()]
    indices = [4 * line + i for line in range(len(vertices) // 4) for i in (0, 1, 2, 0, 2, 3)]
    look = pybullet.createVisualShape(
        pybullet.GEOM_MESH,
        vertices=vertices,
        indices=indices,
        normals=[[0.0, 0.0, 1.0]] * len(vertices),
        rgbaColor=LINE_COLOUR,
        physicsClientId=client,
    )
    pybullet.createMultiBody(0, -1, look, physicsClientId=client)
