"""Upright boxes turned about the vertical."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, no_type_check

import numpy as np
from flax import struct
from jaxtyping import Float

from sim import fields
from sim.shapes.arrays import columns, entries_for, entry, namespace, slab, solid_distance
from sim.state import AnyArray


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class Box:
    """A box with a yaw.

    Attributes:
        center: [m], world frame.
        half_extents: half the edges along its own x, y and z [m].
        yaw: angle from the world's x to its own, about z [rad].
        velocity: [m/s], world frame.
    """

    center: tuple[float, float, float]
    half_extents: tuple[float, float, float]
    yaw: float = 0.0
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)

    SHAPE: ClassVar[str] = "box"
    OPTIONAL: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        """Make every number a float.

        Raises:
            WorldError: naming the field that is not right.
        """
        object.__setattr__(self, "center", fields.vector(self.center, "center"))
        half_extents = fields.positive_vector(self.half_extents, "half_extents")
        object.__setattr__(self, "half_extents", half_extents)
        object.__setattr__(self, "yaw", fields.number(self.yaw, "yaw"))
        object.__setattr__(self, "velocity", fields.vector(self.velocity, "velocity"))

    @property
    def half_size(self) -> tuple[float, float, float]:
        """Half the edges of the upright box of yaw 0 around it [m]."""
        cos, sin = abs(math.cos(self.yaw)), abs(math.sin(self.yaw))
        x, y, z = self.half_extents
        return cos * x + sin * y, sin * x + cos * y, z


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Boxes:
    """Many boxes as arrays.

    Attributes:
        center: [m], `[*batch, n, 3]`.
        half_extents: [m], `[*batch, n, 3]`; negative for padding.
        cos_yaw: `[*batch, n]`.
        sin_yaw: `[*batch, n]`.
    """

    center: Float[AnyArray, "*batch n 3"]
    half_extents: Float[AnyArray, "*batch n 3"]
    cos_yaw: Float[AnyArray, "*batch n"]
    sin_yaw: Float[AnyArray, "*batch n"]

    @classmethod
    def pack(cls, obstacles: Iterable[object], count: int | None = None) -> Boxes:
        """Numpy arrays of the boxes among the obstacles.

        Args:
            obstacles: of any kind.
            count: entries of the arrays, padding included; as many as there are by default.

        Raises:
            WorldError: if `count` is too small.
        """
        boxes = [item for item in obstacles if isinstance(item, Box)]
        count = entries_for(len(boxes), count, "boxes")
        center, half_extents = np.zeros((count, 3)), np.full((count, 3), -1.0)
        cos_yaw, sin_yaw = np.ones(count), np.zeros(count)
        for i, box in enumerate(boxes):
            center[i], half_extents[i] = box.center, box.half_extents
            cos_yaw[i], sin_yaw[i] = math.cos(box.yaw), math.sin(box.yaw)
        return cls(center, half_extents, cos_yaw, sin_yaw)

    def distances(self, points: Float[AnyArray, "*points 3"]) -> Float[AnyArray, "*points n"]:
        """Signed distance of each point from each box [m]; infinity from padding."""
        xp = namespace(points)
        (x, y, z), (cx, cy, cz) = columns(points), columns(self.center, shapes=True)
        hx, hy, hz = columns(self.half_extents, shapes=True)
        mx, my = x - cx, y - cy
        own_x = self.cos_yaw * mx + self.sin_yaw * my
        own_y = self.cos_yaw * my - self.sin_yaw * mx
        distance = solid_distance(xp.abs(own_x) - hx, xp.abs(own_y) - hy, xp.abs(z - cz) - hz)
        return xp.where(hx >= 0, distance, xp.inf)

    def entries(
        self, origin: Float[AnyArray, " 3"], directions: Float[AnyArray, "rays 3"]
    ) -> Float[AnyArray, "rays n"]:
        """Distance along each unit ray to each box [m]: 0 inside, infinity for a miss."""
        xp = namespace(directions)
        (dx, dy, dz), (cx, cy, cz) = columns(directions), columns(self.center, shapes=True)
        hx, hy, hz = columns(self.half_extents, shapes=True)
        mx, my, mz = origin[0] - cx, origin[1] - cy, origin[2] - cz
        cos, sin = self.cos_yaw, self.sin_yaw
        first = slab(cos * mx + sin * my, cos * dx + sin * dy, hx)
        second = slab(cos * my - sin * mx, cos * dy - sin * dx, hy)
        third = slab(mz, dz, hz)
        enter = xp.maximum(xp.maximum(first[0], second[0]), third[0])
        leave = xp.minimum(xp.minimum(first[1], second[1]), third[1])
        return entry(enter, leave, hx >= 0)
