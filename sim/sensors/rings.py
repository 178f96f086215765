"""Rays in rings: the pattern of the pilots, and that of a spinning lidar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from sim.sensors.fan import RayFan, check_range


@dataclass(frozen=True)
class RayPattern(RayFan):
    """Rays fixed to the body, in rings of equal elevation.

    Attributes:
        rings: (elevation [deg], number of rays) of each ring; rings 1, 2, 5, 6, 9... of the list
            are turned by half a step, so that rings listed in pairs around a middle interleave.
        max_range: [m], reported where a ray hits nothing.
    """

    rings: tuple[tuple[float, int], ...]
    max_range: float = 8.0

    def __post_init__(self) -> None:
        """Refuse an empty or impossible pattern.

        Raises:
            ValueError: naming the field.
        """
        if not self.rings or any(count < 1 or abs(angle) > 90 for angle, count in self.rings):
            raise ValueError(f"rings: expected (elevation in +-90, count >= 1) pairs: {self.rings}")
        check_range(self.max_range)

    @cached_property
    def directions(self) -> Float[np.ndarray, "rays 3"]:
        """Unit vectors, body frame."""
        rows = []
        for k, (elevation, count) in enumerate(self.rings):
            azimuth = 2 * np.pi * (np.arange(count) + 0.5 * ((k + 1) // 2 % 2)) / count
            level, up = np.cos(np.deg2rad(elevation)), np.sin(np.deg2rad(elevation))
            rows.append(
                np.stack(
                    [level * np.cos(azimuth), level * np.sin(azimuth), np.full(count, up)], axis=-1
                )
            )
        return np.concatenate(rows)

    @property
    def count(self) -> int:
        """Number of rays."""
        return sum(count for _, count in self.rings)

    def first(self, parts: int) -> RayPattern:
        """The pattern of the first `parts` rings only."""
        return RayPattern(self.rings[:parts], self.max_range)


def lidar_ring(
    count: int = 360, elevations: Sequence[float] = (0.0,), max_range: float = 12.0
) -> RayPattern:
    """A spinning lidar, all its returns at once: a ring of `count` rays at each elevation [deg].

    Raises:
        ValueError: naming what is not right.
    """
    return RayPattern(tuple((float(angle), count) for angle in elevations), max_range)
