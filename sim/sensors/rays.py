"""Rays in any directions that somebody lists, and the five of a Crazyflie's multiranger."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Float

from sim.sensors.fan import RayFan, check_range
from sim.state import AnyArray

MULTIRANGER_BEAMS = (
    (1.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, -1.0, 0.0),
    (0.0, 0.0, 1.0),
)
"""Front, back, left, right, up."""


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class Rays(RayFan):
    """Rays along given directions.

    Attributes:
        vectors: three numbers for each ray, body frame, of any length but zero.
        max_range: [m], reported where a ray hits nothing.
    """

    vectors: tuple[tuple[float, float, float], ...]
    max_range: float = 8.0

    def __post_init__(self) -> None:
        """Keep the vectors as tuples of plain floats.

        Raises:
            ValueError: naming the field.
        """
        check_range(self.max_range)
        try:
            vectors = np.asarray(self.vectors, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"vectors: expected numbers [rays, 3], got {error}") from error
        if vectors.ndim != 2 or vectors.shape[1] != 3 or not len(vectors):
            raise ValueError(f"vectors: expected [rays, 3], at least one, got {vectors.shape}")
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise ValueError("vectors: expected finite ones, none of length zero")
        object.__setattr__(self, "vectors", tuple(map(tuple, vectors.tolist())))

    @classmethod
    def along(cls, directions: Float[AnyArray, "rays 3"], max_range: float = 8.0) -> Rays:
        """Rays along the rows of an array, body frame; see `Rays`."""
        rows: Any = np.asarray(directions).tolist()
        return cls(rows, max_range)

    @cached_property
    def directions(self) -> Float[np.ndarray, "rays 3"]:
        """Unit vectors, body frame."""
        vectors = np.array(self.vectors)
        # Scaled first: the square of a large number overflows, that of a tiny one vanishes.
        vectors = vectors / np.abs(vectors).max(axis=1, keepdims=True)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def first(self, parts: int) -> Rays:
        """The first `parts` rays only."""
        return Rays(self.vectors[:parts], self.max_range)


def multiranger(max_range: float = 4.0) -> Rays:
    """The five beams of the Crazyflie's Multi-ranger deck: front, back, left, right, up.

    Its sensors (VL53L1x) see up to 4 m, each in a cone of 27 degrees; here each is one ray.
    """
    return Rays(MULTIRANGER_BEAMS, max_range)
