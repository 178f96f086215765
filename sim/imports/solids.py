"""A solid in any pose as one of our shapes, where there is one that is exact."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float

from sim.fields import WorldError
from sim.shapes import Box, Cylinder, Obstacle, Sphere
from sim.world import Vector

Tilted: TypeAlias = Literal["refuse", "bound"]
"""What becomes of a solid that stands at a slant."""

STRAIGHT = 1e-9
"""A direction this near to an axis is along it: the turn left is less than 5e-5 rad."""


@dataclass(frozen=True)
class Pose:
    """A frame in the world.

    Attributes:
        turn: rotation matrix, from the frame to the world.
        place: of its origin [m].
    """

    turn: Float[np.ndarray, "3 3"]
    place: Float[np.ndarray, " 3"]

    @classmethod
    def of(cls, place: list[float], rpy: list[float]) -> Pose:
        """From a place [m] and turns about the fixed x, then y, then z [rad]."""
        (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a), math.cos(a)) for a in rpy)
        turn = [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
        return cls(np.array(turn), np.array(place, float))

    def over(self, inner: Pose) -> Pose:
        """A frame that is given in this one, in the world."""
        return Pose(self.turn @ inner.turn, self.place + self.turn @ inner.place)


ORIGIN = Pose.of([0.0] * 3, [0.0] * 3)


def box(pose: Pose, edges: Vector, tilted: Tilted, field: str) -> Obstacle:
    """A box; exact where one of its edges is vertical.

    Args:
        pose: of its middle.
        edges: along its own x, y and z [m].
        tilted: `refuse` a box that stands at a slant, or `bound` it: take the smallest upright box
            around it of the yaw of its own x (of its y, where x is vertical).
        field: for the error.

    Raises:
        WorldError: it stands at a slant, and `tilted` is `refuse`.
    """
    half = np.array(edges) / 2
    upright = np.flatnonzero(np.abs(pose.turn[2]) > 1 - STRAIGHT)
    if len(upright):
        first, second = [axis for axis in range(3) if axis != upright[0]]
        yaw = math.atan2(pose.turn[1, first], pose.turn[0, first])
        return Box(_place(pose), (half[first], half[second], half[upright[0]]), yaw)
    _require_bound(tilted, "a box with a vertical edge", field)
    yaw = math.atan2(pose.turn[1, 0], pose.turn[0, 0])
    cos, sin = math.cos(yaw), math.sin(yaw)
    own = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ pose.turn
    return Box(_place(pose), tuple((np.abs(own) @ half).tolist()), yaw)


def cylinder(pose: Pose, radius: float, length: float, tilted: Tilted, field: str) -> Obstacle:
    """A cylinder along its own z; exact where that is an axis of the world.

    Args:
        pose: of its middle.
        radius: [m].
        length: [m].
        tilted: `refuse` one along no axis of the world, or `bound` it: take the smallest box
            around it, its edges along the axes of the world.
        field: for the error.

    Raises:
        WorldError: it is along no axis, and `tilted` is `refuse`.
    """
    along = np.abs(pose.turn[:, 2])
    straight = np.flatnonzero(along > 1 - STRAIGHT)
    if len(straight):
        return Cylinder(_place(pose), radius, length, "xyz"[straight[0]])
    _require_bound(tilted, "a cylinder along x, y or z", field)
    half = along * length / 2 + radius * np.sqrt(np.maximum(1 - along**2, 0))
    return Box(_place(pose), tuple(half.tolist()))


def sphere(pose: Pose, radius: float) -> Obstacle:
    """A ball."""
    return Sphere(_place(pose), radius)


def is_ground(pose: Pose, normal: list[float]) -> bool:
    """Whether a plane is the one that every world has: z = 0, solid below."""
    up = pose.turn @ np.array(normal)
    length = np.linalg.norm(up)
    return bool(length > 0 and up[2] > (1 - STRAIGHT) * length and abs(pose.place[2]) < 1e-6)


def _place(pose: Pose) -> Vector:
    x, y, z = pose.place.tolist()
    return x, y, z


def _require_bound(tilted: Tilted, expected: str, field: str) -> None:
    if tilted != "bound":
        raise WorldError(field, f"{expected} (or tilted='bound')", "one that stands at a slant")
