"""Obstacles that move: straight on at a steady speed, through whatever they meet and beyond bounds.

One of velocity v stands at center + v t, t being the time since the flight began. What happens in
tick k (contacts, sights, clearances) happens among obstacles as they stand k ticks after that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar, no_type_check

import numpy as np
from flax import struct
from jaxtyping import Float

from sim.fields import LARGEST
from sim.shapes import Box, Cylinder, Obstacle, Sphere
from sim.state import AnyArray

Solid = TypeVar("Solid", bound=Obstacle)


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Velocities:
    """How the obstacles of a scene move [m/s], world frame, entry by entry; zero for padding.

    Attributes:
        cylinders: `[*batch, n, 3]`.
        spheres: `[*batch, n, 3]`.
        boxes: `[*batch, n, 3]`.
    """

    cylinders: Float[AnyArray, "*batch n 3"]
    spheres: Float[AnyArray, "*batch n 3"]
    boxes: Float[AnyArray, "*batch n 3"]

    @classmethod
    def pack(cls, obstacles: Sequence[Obstacle], counts: Sequence[int]) -> Velocities:
        """Numpy arrays of the velocities of obstacles.

        Args:
            obstacles: of any kind.
            counts: entries of cylinders, spheres and boxes, padding included; no fewer than there
                are.
        """
        arrays = []
        for kind, count in zip((Cylinder, Sphere, Box), counts, strict=True):
            rows = [item.velocity for item in obstacles if isinstance(item, kind)]
            arrays.append(np.zeros((count, 3)))
            arrays[-1][: len(rows)] = np.reshape(rows, (-1, 3))
        return cls(*arrays)


def any_moves(obstacles: Iterable[Obstacle]) -> bool:
    """Whether any of the obstacles moves."""
    return any(any(obstacle.velocity) for obstacle in obstacles)


def fastest(obstacles: Iterable[Obstacle]) -> float:
    """Speed of the fastest of the obstacles [m/s]; 0 if there are none."""
    return max((float(np.linalg.norm(item.velocity)) for item in obstacles), default=0.0)


def obstacle_at(obstacle: Solid, time: float) -> Solid:
    """An obstacle as it stands so long after the start [s]; itself if it does not move."""
    if not any(obstacle.velocity):
        return obstacle
    center = np.clip(
        np.array(obstacle.center) + time * np.array(obstacle.velocity), -LARGEST, LARGEST
    )
    return replace(obstacle, center=tuple(center.tolist()))
