"""Numbers that come in steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax.numpy as jnp
from jax import Array

from sim.sensors.errors.model import Reading, at_least_zero


@dataclass(frozen=True)
class Quantisation:
    """Every number is the nearest whole multiple of a step.

    Attributes:
        step: in the unit of the reading; 0 leaves numbers as they are.
    """

    step: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a negative step."""
        at_least_zero("step", self.step)

    def begin(self, key: Array, first: Reading) -> tuple[()]:
        """Nothing."""
        return ()

    def apply(
        self, memory: tuple[()], key: Array, reading: Reading, dt: float | Array
    ) -> tuple[tuple[()], Reading]:
        """Round."""
        if self.step == 0:
            return memory, reading
        step = jnp.asarray(self.step, reading.value.dtype)
        return memory, replace(reading, value=step * jnp.round(reading.value / step))
