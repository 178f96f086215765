"""What every fan of range rays has, whatever its pattern: a pilot may fly with any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TypeVar

import numpy as np
from jaxtyping import Float

Fan = TypeVar("Fan", bound="RayFan")

_MOST_PAIRS = 20_000_000
"""Pairs of a direction and a ray that are looked at together, to bound the memory."""


class RayFan(ABC):
    """Rays fixed to the body; frozen and hashable, so that jax may take it as a constant."""

    @property
    @abstractmethod
    def max_range(self) -> float:
        """Range that is reported where a ray hits nothing [m]."""

    @property
    @abstractmethod
    def directions(self) -> Float[np.ndarray, "rays 3"]:
        """Unit vectors, body frame: x forward, y left, z up."""

    @property
    def count(self) -> int:
        """Number of rays."""
        return len(self.directions)

    @abstractmethod
    def first(self: Fan, parts: int) -> Fan:
        """The fan of the first `parts` parts only: rings, rows or rays, as the fan is made of."""

    @cached_property
    def cell_radius(self) -> Float[np.ndarray, " rays"]:
        """Largest angle [rad] from each ray to a direction that has no nearer ray.

        Found on 40,000 directions spread evenly over the sphere (a Fibonacci lattice).
        """
        sphere, rays = sphere_points(40_000), self.directions.T.astype(np.float32)
        radius = np.zeros(self.count)
        step = max(1, _MOST_PAIRS // self.count)
        for first in range(0, len(sphere), step):
            cosine = sphere[first : first + step].astype(np.float32) @ rays
            angle = np.arccos(np.clip(cosine.max(axis=1), -1.0, 1.0))
            np.maximum.at(radius, cosine.argmax(axis=1), angle)
        return radius


def sphere_points(count: int) -> Float[np.ndarray, "count 3"]:
    """Directions spread evenly over the sphere: a Fibonacci lattice."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    turn = np.pi * (1 + 5**0.5) * index
    level = np.sqrt(1 - height**2)
    return np.stack([level * np.cos(turn), level * np.sin(turn), height], axis=-1)


def check_range(max_range: float) -> None:
    """Refuse a range that no ray has.

    Raises:
        ValueError: if it is not positive and finite.
    """
    if not (np.isfinite(max_range) and max_range > 0):
        raise ValueError(f"max_range: expected a positive number, got {max_range}")
