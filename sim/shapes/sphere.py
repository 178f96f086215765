"""Spheres."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, no_type_check

import numpy as np
from flax import struct
from jaxtyping import Float

from sim import fields
from sim.shapes.arrays import columns, entries_for, entry, namespace, root
from sim.state import AnyArray


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class Sphere:
    """A ball.

    Attributes:
        center: [m], world frame.
        radius: [m].
        velocity: [m/s], world frame.
    """

    center: tuple[float, float, float]
    radius: float
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)

    SHAPE: ClassVar[str] = "sphere"
    OPTIONAL: ClassVar[tuple[str, ...]] = ("velocity",)

    def __post_init__(self) -> None:
        """Make every number a float.

        Raises:
            WorldError: naming the field that is not right.
        """
        object.__setattr__(self, "center", fields.vector(self.center, "center"))
        object.__setattr__(self, "radius", fields.positive(self.radius, "radius"))
        object.__setattr__(self, "velocity", fields.vector(self.velocity, "velocity"))

    @property
    def half_size(self) -> tuple[float, float, float]:
        """Half the edges of the upright box around it [m]."""
        return self.radius, self.radius, self.radius


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Spheres:
    """Many spheres as arrays.

    Attributes:
        center: [m], `[*batch, n, 3]`.
        radius: [m], `[*batch, n]`; negative for padding.
    """

    center: Float[AnyArray, "*batch n 3"]
    radius: Float[AnyArray, "*batch n"]

    @classmethod
    def pack(cls, obstacles: Iterable[object], count: int | None = None) -> Spheres:
        """Numpy arrays of the spheres among the obstacles.

        Args:
            obstacles: of any kind.
            count: entries of the arrays, padding included; as many as there are by default.

        Raises:
            WorldError: if `count` is too small.
        """
        spheres = [item for item in obstacles if isinstance(item, Sphere)]
        count = entries_for(len(spheres), count, "spheres")
        center, radius = np.zeros((count, 3)), np.full(count, -1.0)
        for i, sphere in enumerate(spheres):
            center[i], radius[i] = sphere.center, sphere.radius
        return cls(center, radius)

    def distances(self, points: Float[AnyArray, "*points 3"]) -> Float[AnyArray, "*points n"]:
        """Signed distance of each point from each sphere [m]; infinity from padding."""
        xp = namespace(points)
        (x, y, z), (cx, cy, cz) = columns(points), columns(self.center, shapes=True)
        distance = root((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - self.radius
        return xp.where(self.radius >= 0, distance, xp.inf)

    def entries(
        self, origin: Float[AnyArray, " 3"], directions: Float[AnyArray, "rays 3"]
    ) -> Float[AnyArray, "rays n"]:
        """Distance along each unit ray to each sphere [m]: 0 inside, infinity for a miss."""
        (dx, dy, dz), (cx, cy, cz) = columns(directions), columns(self.center, shapes=True)
        mx, my, mz = origin[0] - cx, origin[1] - cy, origin[2] - cz
        along = mx * dx + my * dy + mz * dz
        # The offset of the whole line, not b^2 - c: that one cancels in float32.
        offset = (mx - along * dx) ** 2 + (my - along * dy) ** 2 + (mz - along * dz) ** 2
        half_chord_squared = self.radius**2 - offset
        half_chord = root(half_chord_squared)
        exists = (half_chord_squared >= 0) & (self.radius >= 0)
        return entry(-along - half_chord, -along + half_chord, exists)
