"""A depth and colour camera on the drone, drawn by PyBullet: no display needed.

This module needs PyBullet, by way of `sim.bullet`, and `import sim.sensors` does not load it. The
camera is a pinhole with square pixels that rolls with the body: its depth is that of the rays of
`sim.sensors.depth.DepthPattern` of the same size and field of view, which costs no physics server.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from sim.airframe import CF2X
from sim.bullet import build, connect, disconnect, movers_of, pybullet
from sim.closing import Closing
from sim.engine import EngineError
from sim.quiet import unheard
from sim.sensors.depth import check_pinhole
from sim.sensors.renderers import CameraError, RendererName, load_egl, renderer_of
from sim.state import State, rotation_matrix
from sim.world import World

_CODES = {"tiny": pybullet.ER_TINY_RENDERER, "egl": pybullet.ER_BULLET_HARDWARE_OPENGL}


@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks along the body's x, its up the body's z.

    Attributes:
        width: [pixels].
        height: [pixels].
        fov: vertical field of view [deg].
        near: what is nearer along the axis is not seen [m]; so neither is the drone itself.
        far: what is farther along the axis is not seen [m], and reported where there is nothing.
        mount: where it sits, body frame [m].
        renderer: `tiny` draws in software everywhere; `egl` in OpenGL, by the plugin that comes
            with PyBullet; `auto` is `egl` where that works on a graphics card, else `tiny` (a
            software OpenGL is slower than `tiny` by far).
    """

    width: int = 64
    height: int = 48
    fov: float = 60.0
    near: float = 0.07
    far: float = 60.0
    mount: tuple[float, float, float] = (0.0, 0.0, 0.0)
    renderer: RendererName = "auto"

    def __post_init__(self) -> None:
        """Refuse an impossible camera.

        Raises:
            ValueError: naming the field.
        """
        check_pinhole(self.width, self.height, self.fov)
        if not 0 < self.near < self.far < np.inf:
            raise CameraError(f"near, far: expected 0 < near < far, got {self.near}, {self.far}")
        if len(self.mount) != 3 or not np.isfinite(self.mount).all():
            raise CameraError(f"mount: expected 3 finite numbers, got {self.mount}")
        if self.renderer not in ("auto", "tiny", "egl"):
            raise CameraError(f"renderer: expected auto, tiny or egl, got {self.renderer!r}")


@dataclass(frozen=True)
class Picture:
    """What a camera sees, row by row from the top.

    Attributes:
        rgb: red, green and blue, `[height, width, 3]`.
        depth: along the optical axis [m], `far` where there is nothing, `[height, width]`.
    """

    rgb: UInt8[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "height width"]


class CameraRig(Closing):
    """A camera in a world, in a physics server of its own: looking never touches a flight."""

    def __init__(self, camera: Camera, world: World) -> None:
        """Build what there is to see: the ground and the obstacles.

        Args:
            camera: that looks.
            world: any.

        Raises:
            CameraError: the renderer cannot be had here.
            EngineError: no physics server can be started.
        """
        self.camera, self.renderer = camera, renderer_of(camera.renderer)
        self.client = connect()
        try:
            if self.renderer == "egl":
                load_egl(self.client)
            drone = build(self.client, CF2X, world, visual=True)
            self._movers = movers_of(self.client, world)
            pybullet.removeBody(drone, physicsClientId=self.client)
        except BaseException:
            self.close()
            raise

    def look(self, state: State, time: float = 0.0) -> Picture:
        """What the camera sees from a drone; see `photograph`.

        Args:
            state: of the drone.
            time: since the flight began [s], for obstacles that move.

        Raises:
            EngineError: the rig was closed, or its server is gone.
        """
        try:
            if self._movers is not None:
                self._movers.place(time)
        except pybullet.error as error:
            raise EngineError(f"physics server: expected it to answer, got: {error}") from error
        return photograph(self.camera, self.client, state, self.renderer)

    def close(self) -> None:
        """Stop the physics server. Closing twice is fine."""
        with unheard():
            disconnect(self.client)
        self.client = -1


def photograph(
    camera: Camera, client: int, state: State, renderer: Literal["tiny", "egl"] = "tiny"
) -> Picture:
    """What a camera sees in any physics server.

    Args:
        camera: that looks; its `renderer` does not count here.
        client: PyBullet's id of the server.
        state: of the body that the camera is fixed to.
        renderer: `egl` needs `load_egl` before anything is put into the server.

    Raises:
        EngineError: the server is gone.
    """
    rotation = np.asarray(rotation_matrix(np.asarray(state.quaternion, np.float64)))
    eye = np.asarray(state.position, np.float64) + rotation @ np.array(camera.mount)
    view = pybullet.computeViewMatrix(
        eye.tolist(), (eye + rotation[:, 0]).tolist(), rotation[:, 2].tolist()
    )
    try:
        # OpenGL greets the terminal with every picture.
        with nullcontext() if renderer == "tiny" else unheard():
            _, _, pixels, depth, _ = pybullet.getCameraImage(
                camera.width,
                camera.height,
                view,
                _projection(camera, renderer),
                shadow=0,
                renderer=_CODES[renderer],
                flags=pybullet.ER_NO_SEGMENTATION_MASK,
                physicsClientId=client,
            )
    except pybullet.error as error:
        raise EngineError(f"physics server: expected it to answer, got: {error}") from error
    shape = (camera.height, camera.width)
    rgb = np.array(pixels, np.uint8).reshape(*shape, 4)[..., :3]
    buffer = np.asarray(depth, np.float64).reshape(shape)
    axial = camera.far * camera.near / (camera.far - (camera.far - camera.near) * buffer)
    # TinyRenderer's empty pixels are a little short of it.
    nothing = axial > camera.far * (1 - 1e-3)
    return Picture(rgb, np.where(nothing, camera.far, axial).astype(np.float32))


def _projection(camera: Camera, renderer: str) -> list[float]:
    """The pinhole's projection matrix, column by column.

    TinyRenderer asks for the depth at the lower left corner of a pixel, OpenGL at its middle: half
    a pixel is made up for here. (Left alone, slanted surfaces are off by half a pixel's slope.)
    """
    matrix = list(
        pybullet.computeProjectionMatrixFOV(
            camera.fov, camera.width / camera.height, camera.near, camera.far
        )
    )
    if renderer == "tiny":
        matrix[8] += 1 / camera.width
        matrix[9] += 1 / camera.height
    return matrix
