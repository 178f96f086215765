"""Cylinders along one axis of the world, closed by flat caps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, no_type_check

import numpy as np
from flax import struct
from jaxtyping import Float

from sim import fields
from sim.shapes.arrays import columns, entries_for, entry, namespace, root, slab, solid_distance
from sim.state import AnyArray

AXES = ("x", "y", "z")


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class Cylinder:
    """A finite cylinder with caps.

    Attributes:
        center: [m], world frame.
        radius: [m].
        height: from cap to cap [m].
        axis: `x`, `y` or `z`.
        velocity: [m/s], world frame.
    """

    center: tuple[float, float, float]
    radius: float
    height: float
    axis: str = "z"
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)

    SHAPE: ClassVar[str] = "cylinder"
    OPTIONAL: ClassVar[tuple[str, ...]] = ("axis", "velocity")

    def __post_init__(self) -> None:
        """Make every number a float.

        Raises:
            WorldError: naming the field that is not right.
        """
        object.__setattr__(self, "center", fields.vector(self.center, "center"))
        object.__setattr__(self, "radius", fields.positive(self.radius, "radius"))
        object.__setattr__(self, "height", fields.positive(self.height, "height"))
        if not isinstance(self.axis, str) or self.axis not in AXES:
            raise fields.WorldError("axis", "x, y or z", self.axis)
        object.__setattr__(self, "velocity", fields.vector(self.velocity, "velocity"))

    @property
    def half_size(self) -> tuple[float, float, float]:
        """Half the edges of the upright box around it [m]."""
        x, y, z = (self.height / 2 if self.axis == axis else self.radius for axis in AXES)
        return x, y, z


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Cylinders:
    """Many cylinders as arrays.

    Attributes:
        center: [m], `[*batch, n, 3]`.
        axis: unit vectors, `[*batch, n, 3]`.
        half_height: [m], `[*batch, n]`.
        radius: [m], `[*batch, n]`; negative for padding.
    """

    center: Float[AnyArray, "*batch n 3"]
    axis: Float[AnyArray, "*batch n 3"]
    half_height: Float[AnyArray, "*batch n"]
    radius: Float[AnyArray, "*batch n"]

    @classmethod
    def pack(cls, obstacles: Iterable[object], count: int | None = None) -> Cylinders:
        """Numpy arrays of the cylinders among the obstacles.

        Args:
            obstacles: of any kind.
            count: entries of the arrays, padding included; as many as there are by default.

        Raises:
            WorldError: if `count` is too small.
        """
        cylinders = [item for item in obstacles if isinstance(item, Cylinder)]
        count = entries_for(len(cylinders), count, "cylinders")
        center, axis = np.zeros((count, 3)), np.tile([0.0, 0.0, 1.0], (count, 1))
        half_height, radius = np.ones(count), np.full(count, -1.0)
        for i, cylinder in enumerate(cylinders):
            center[i], axis[i] = cylinder.center, np.eye(3)[AXES.index(cylinder.axis)]
            half_height[i], radius[i] = cylinder.height / 2, cylinder.radius
        return cls(center, axis, half_height, radius)

    def distances(self, points: Float[AnyArray, "*points 3"]) -> Float[AnyArray, "*points n"]:
        """Signed distance of each point from each cylinder [m]; infinity from padding."""
        xp = namespace(points)
        (x, y, z), (cx, cy, cz) = columns(points), columns(self.center, shapes=True)
        ax, ay, az = columns(self.axis, shapes=True)
        mx, my, mz = x - cx, y - cy, z - cz
        along = mx * ax + my * ay + mz * az
        around = root((mx - along * ax) ** 2 + (my - along * ay) ** 2 + (mz - along * az) ** 2)
        distance = solid_distance(around - self.radius, xp.abs(along) - self.half_height)
        return xp.where(self.radius >= 0, distance, xp.inf)

    def entries(
        self, origin: Float[AnyArray, " 3"], directions: Float[AnyArray, "rays 3"]
    ) -> Float[AnyArray, "rays n"]:
        """Distance along each unit ray to each cylinder [m]: 0 inside, infinity for a miss."""
        xp = namespace(directions)
        (dx, dy, dz), (cx, cy, cz) = columns(directions), columns(self.center, shapes=True)
        ax, ay, az = columns(self.axis, shapes=True)
        mx, my, mz = origin[0] - cx, origin[1] - cy, origin[2] - cz
        along, rate = mx * ax + my * ay + mz * az, dx * ax + dy * ay + dz * az
        # Seen along the axis: position p and velocity v in the plane of the circle.
        px, py, pz = mx - along * ax, my - along * ay, mz - along * az
        vx, vy, vz = dx - rate * ax, dy - rate * ay, dz - rate * az
        speed_squared = vx**2 + vy**2 + vz**2
        crossing = speed_squared > xp.finfo(directions.dtype).eps ** 2
        safe_speed = xp.where(crossing, speed_squared, 1)
        turn = ax * (py * vz - pz * vy) + ay * (pz * vx - px * vz) + az * (px * vy - py * vx)
        discriminant = speed_squared * self.radius**2 - turn**2
        middle = -(px * vx + py * vy + pz * vz) / safe_speed
        half_chord = root(discriminant) / safe_speed
        cap_enter, cap_leave = slab(along, rate, self.half_height)
        enter = xp.where(crossing, xp.maximum(middle - half_chord, cap_enter), cap_enter)
        leave = xp.where(crossing, xp.minimum(middle + half_chord, cap_leave), cap_leave)
        within = px**2 + py**2 + pz**2 <= self.radius**2
        exists = xp.where(crossing, discriminant >= 0, within) & (self.radius >= 0)
        return entry(enter, leave, exists)
