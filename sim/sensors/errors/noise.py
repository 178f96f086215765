"""Errors that are added: white, constant, or walking at random."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax import Array

from sim.sensors.errors.model import Reading, at_least_zero


@dataclass(frozen=True)
class WhiteNoise:
    """A new Gaussian error in every number of every reading.

    Attributes:
        std: standard deviation, in the unit of the reading.
    """

    std: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a negative deviation."""
        at_least_zero("std", self.std)

    def begin(self, key: Array, first: Reading) -> tuple[()]:
        """Nothing."""
        return ()

    def apply(
        self, memory: tuple[()], key: Array, reading: Reading, dt: float | Array
    ) -> tuple[tuple[()], Reading]:
        """Add the error."""
        return memory, _plus(reading, self.std * _normal(key, reading))


@dataclass(frozen=True)
class RelativeNoise:
    """A new Gaussian error in every number, in proportion to it.

    Attributes:
        fraction: standard deviation over the number.
    """

    fraction: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a negative deviation."""
        at_least_zero("fraction", self.fraction)

    def begin(self, key: Array, first: Reading) -> tuple[()]:
        """Nothing."""
        return ()

    def apply(
        self, memory: tuple[()], key: Array, reading: Reading, dt: float | Array
    ) -> tuple[tuple[()], Reading]:
        """Scale by one and the error."""
        factor = 1 + self.fraction * _normal(key, reading)
        return memory, replace(reading, value=reading.value * factor)


@dataclass(frozen=True)
class Bias:
    """An error of each number that is drawn once and stays.

    Attributes:
        std: standard deviation of the draw, in the unit of the reading.
    """

    std: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a negative deviation."""
        at_least_zero("std", self.std)

    def begin(self, key: Array, first: Reading) -> Array:
        """The error."""
        return self.std * _normal(key, first)

    def apply(
        self, memory: Array, key: Array, reading: Reading, dt: float | Array
    ) -> tuple[Array, Reading]:
        """Add the error."""
        return memory, _plus(reading, memory)


@dataclass(frozen=True)
class BiasWalk:
    """An error of each number that starts at zero and walks at random.

    Attributes:
        rate: its standard deviation after one second, growing with the root of the time
            [unit/sqrt(s)].
    """

    rate: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a negative rate."""
        at_least_zero("rate", self.rate)

    def begin(self, key: Array, first: Reading) -> Array:
        """No error yet."""
        return jnp.zeros_like(first.value)

    def apply(
        self, memory: Array, key: Array, reading: Reading, dt: float | Array
    ) -> tuple[Array, Reading]:
        """Walk, then add."""
        step = self.rate * jnp.sqrt(jnp.asarray(dt, memory.dtype)) * _normal(key, reading)
        return memory + step, _plus(reading, memory + step)


def _normal(key: Array, like: Reading) -> Array:
    return jax.random.normal(key, like.value.shape, like.value.dtype)


def _plus(reading: Reading, error: Array) -> Reading:
    return replace(reading, value=reading.value + error)
