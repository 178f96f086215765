"""The rays of a depth camera: a pinhole with square pixels, looking along the body's x."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import no_type_check

import numpy as np
from jaxtyping import Float

from sim.sensors.fan import RayFan, check_range
from sim.state import AnyArray


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class DepthPattern(RayFan):
    """One ray through the middle of each pixel, row by row from the top left.

    Attributes:
        width: [pixels].
        height: [pixels].
        fov: vertical field of view [deg]: from the top edge of the picture to its bottom edge.
        max_range: [m] along a ray, reported where it hits nothing.
        rows: how many rows from the top are cast; all of them if None.
    """

    width: int
    height: int
    fov: float = 60.0
    max_range: float = 8.0
    rows: int | None = None

    def __post_init__(self) -> None:
        """Refuse an impossible camera.

        Raises:
            ValueError: naming the field.
        """
        check_pinhole(self.width, self.height, self.fov)
        check_range(self.max_range)
        if self.rows is not None and not 1 <= self.rows <= self.height:
            raise ValueError(f"rows: expected 1 to {self.height}, got {self.rows}")

    @cached_property
    def directions(self) -> Float[np.ndarray, "rays 3"]:
        """Unit vectors, body frame."""
        right = np.arange(self.width) + 0.5 - self.width / 2
        down = np.arange(self._rows) + 0.5 - self.height / 2
        vectors = np.ones((self._rows, self.width, 3))
        focal = focal_length(self.height, self.fov)
        vectors[..., 1], vectors[..., 2] = -right / focal, -down[:, None] / focal
        vectors = vectors.reshape(-1, 3)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    @property
    def count(self) -> int:
        """Number of rays."""
        return self._rows * self.width

    def first(self, parts: int) -> DepthPattern:
        """The first `parts` rows only, where they are in the whole picture."""
        return DepthPattern(self.width, self.height, self.fov, self.max_range, parts)

    def axial(self, ranges: Float[AnyArray, "*batch rays"]) -> Float[AnyArray, "*batch rays"]:
        """Depth along the optical axis [m] from depth along each ray [m]."""
        return ranges * self.directions[:, 0].astype(ranges.dtype)

    def along(self, depths: Float[AnyArray, "*batch rays"]) -> Float[AnyArray, "*batch rays"]:
        """Depth along each ray [m] from depth along the optical axis [m]."""
        return depths / self.directions[:, 0].astype(depths.dtype)

    def picture(self, ranges: Float[AnyArray, "*batch rays"]) -> Float[AnyArray, "*batch h w"]:
        """The same as rows of pixels."""
        return ranges.reshape(*ranges.shape[:-1], self._rows, self.width)

    @property
    def _rows(self) -> int:
        return self.height if self.rows is None else self.rows


def depth_pattern(
    width: int = 64, height: int = 48, fov: float = 60.0, max_range: float = 8.0
) -> DepthPattern:
    """The rays of a depth camera; `fov` is vertical [deg]. See `DepthPattern`.

    Raises:
        ValueError: naming what is not right.
    """
    return DepthPattern(width, height, fov, max_range)


def focal_length(height: int, fov: float) -> float:
    """Of a pinhole camera [pixels], from its vertical field of view [deg]."""
    return height / 2 / math.tan(math.radians(fov) / 2)


def check_pinhole(width: int, height: int, fov: float) -> None:
    """Refuse an impossible pinhole camera.

    Raises:
        ValueError: naming the field.
    """
    for name, value in (("width", width), ("height", height)):
        if not (isinstance(value, int) and value >= 1):
            raise ValueError(f"{name}: expected at least 1 pixel, got {value!r}")
    if not 0 < fov < 180:
        raise ValueError(f"fov: expected an angle between 0 and 180 degrees, got {fov}")
