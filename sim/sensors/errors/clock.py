"""Numbers that come late, or from a time that is not quite the one they are said to be of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import no_type_check

import jax
import jax.numpy as jnp
from jax import Array

from sim.sensors.errors.model import Reading, at_least_zero


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class Delay:
    """Every reading is the one of some readings ago; the first one until there are so many.

    Attributes:
        readings: how many.
    """

    readings: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no count.

        Raises:
            ValueError: naming the field.
        """
        if not (isinstance(self.readings, int) and self.readings >= 0):
            raise ValueError(f"readings: expected a count >= 0, got {self.readings!r}")

    def begin(self, key: Array, first: Reading) -> Reading:
        """The readings on their way, oldest first: so far the first one over and over."""
        return (
            jax.tree.map(lambda leaf: jnp.stack([leaf] * self.readings), first)
            if (self.readings)
            else first
        )

    def apply(
        self, memory: Reading, key: Array, reading: Reading, dt: float | Array
    ) -> tuple[Reading, Reading]:
        """Put one in, take the oldest out."""
        if self.readings == 0:
            return memory, reading
        oldest = jax.tree.map(lambda leaf: leaf[0], memory)
        moved = jax.tree.map(
            lambda leaf, new: jnp.concatenate([leaf[1:], new[None]]), memory, reading
        )
        return moved, oldest


@no_type_check  # At run time only: __post_init__ makes its own, better errors.
@dataclass(frozen=True)
class Jitter:
    """Every reading is a little older than it says, by a random time: interpolated linearly.

    Attributes:
        std: of the Gaussian whose magnitude is the age [s]; never older than the last reading.
    """

    std: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a negative time."""
        at_least_zero("std", self.std)

    def begin(self, key: Array, first: Reading) -> Array:
        """The number before."""
        return first.value

    def apply(
        self, memory: Array, key: Array, reading: Reading, dt: float | Array
    ) -> tuple[Array, Reading]:
        """Go back towards the number before."""
        dt = jnp.asarray(dt, memory.dtype)
        age = jnp.abs(self.std * jax.random.normal(key, (), memory.dtype))
        share = jnp.minimum(age / jnp.maximum(dt, jnp.finfo(dt.dtype).tiny), 1)
        older = reading.value + share * (memory - reading.value)
        return reading.value, replace(reading, value=older)
