"""The straight-line policy: a pilot without a network, and the barrier's adversary."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.policy import GAINS, Goal, PolicyShape, Wish, heading_of, yaw_rate_towards
from sim.sensors import Sight
from sim.state import safe_norm


class StraightLine(nnx.Module):
    """Flies towards the target at the set speed and sees no obstacle; no parameters.

    Attributes:
        shape: box of accelerations, yaw rate and gains.
        rate: velocity error to acceleration [1/s].
    """

    TAKES_DETOURS: ClassVar[bool] = False

    def __init__(self, shape: PolicyShape, rate: float = 3.0) -> None:
        """Keep the scaling of `shape`."""
        self.shape, self.rate = shape, rate

    def blank_memory(self) -> Float[Array, " 1"]:
        """Nothing to remember."""
        return jnp.zeros(1, jnp.float32)

    def __call__(
        self, memory: Float[Array, " 1"], sight: Sight, goal: Goal, dt: Array | float
    ) -> tuple[Float[Array, " 1"], Wish]:
        """Wish for the acceleration towards the set velocity; see `Policy`."""
        state = sight.state
        towards = goal.target - state.position
        direction = towards / jnp.maximum(safe_norm(towards, keepdims=True), 0.1)
        box = jnp.asarray(self.shape.acceleration)
        pull = self.rate * (direction * goal.speed - state.velocity)
        low, high = self.shape.gain_range
        yaw_rate = yaw_rate_towards(state, heading_of(state), goal, self.shape.yaw_rate)
        return memory, Wish(
            acceleration=jnp.clip(pull, -box, box).astype(jnp.float32),
            yaw_rate=yaw_rate.astype(jnp.float32),
            gains=jnp.full(GAINS, (low + high) / 2, jnp.float32),
        )
