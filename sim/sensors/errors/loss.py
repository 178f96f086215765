"""Numbers that never come: lost at random, or hidden by the drone itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sim.sensors.errors.model import Reading
from sim.sensors.fan import RayFan


@dataclass(frozen=True)
class Dropout:
    """Every number of every reading is lost with a probability, on its own.

    Attributes:
        probability: in [0, 1].
    """

    probability: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no probability.

        Raises:
            ValueError: naming the field.
        """
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: expected one in [0, 1], got {self.probability}")

    def begin(self, key: Array, first: Reading) -> tuple[()]:
        """Nothing."""
        return ()

    def apply(
        self, memory: tuple[()], key: Array, reading: Reading, dt: float | Array
    ) -> tuple[tuple[()], Reading]:
        """Mark as lost; the number itself is left."""
        kept = jax.random.uniform(key, reading.valid.shape) >= self.probability
        return memory, replace(reading, valid=reading.valid & kept)


@dataclass(frozen=True)
class Sector:
    """Rays of a sector of azimuth never return: something on the drone is in their way.

    Attributes:
        fan: whose rays these are. Rays straight up or down have no azimuth and are never hidden.
        width: of the sector [rad]; all azimuths from 2 pi on.
        azimuth: of its middle, body frame, from x towards y [rad]; drawn by `begin` if None.
    """

    fan: RayFan
    width: float
    azimuth: float | None = None

    def __post_init__(self) -> None:
        """Refuse an impossible sector.

        Raises:
            ValueError: naming the field.
        """
        if not (math.isfinite(self.width) and self.width >= 0):
            raise ValueError(f"width: expected a finite angle >= 0, got {self.width}")
        if self.azimuth is not None and not math.isfinite(self.azimuth):
            raise ValueError(f"azimuth: expected a finite angle, got {self.azimuth}")

    def begin(self, key: Array, first: Reading) -> Array:
        """The middle of the sector."""
        drawn = jax.random.uniform(key, (), first.value.dtype, -jnp.pi, jnp.pi)
        return drawn if self.azimuth is None else jnp.asarray(self.azimuth, drawn.dtype)

    def apply(
        self, memory: Array, key: Array, reading: Reading, dt: float | Array
    ) -> tuple[Array, Reading]:
        """Mark the sector's rays as lost."""
        x, y, _ = self.fan.directions.T
        level = np.hypot(x, y) > 1e-9
        away = jnp.asarray(np.arctan2(y, x), memory.dtype) - memory
        # The angle between the two, in [0, pi].
        apart = jnp.abs(jnp.arctan2(jnp.sin(away), jnp.cos(away)))
        hidden = jnp.asarray(level) & (2 * apart < self.width)
        return memory, replace(reading, valid=reading.valid & ~hidden)
