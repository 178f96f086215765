"""One look at the world: every ray of a fan, and an estimate of the drone's own state."""

from __future__ import annotations

from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Bool, Float

from sim.scene import Scene, ray_distance
from sim.sensors.disturbance import Disturbance
from sim.sensors.fan import RayFan
from sim.state import State, rotate


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Sight:
    """One look at the world.

    Attributes:
        state: the estimate of the drone's own state.
        ranges: distance along each ray [m], `[*batch, rays]`; the pattern's range where nothing is.
        valid: False where the return of a ray was lost, `[*batch, rays]`.
    """

    state: State
    ranges: Float[Array, "*batch rays"]
    valid: Bool[Array, "*batch rays"]


def look(
    pattern: RayFan, scene: Scene, state: State, noise: Disturbance, key: Array | None
) -> Sight:
    """Cast every ray of the pattern from a body in the scene.

    Args:
        pattern: the rays, fixed to the body.
        scene: the world as arrays, of the dtype in which the rays are cast.
        state: one body (no batch dimension: `vmap` for many).
        noise: range noise and losses; what it says of errors that last from sight to sight is
            the business of `sim.sensors.errors`.
        key: random key; needed only if there is noise.

    Returns:
        Ranges and their validity, with the true state as the estimate.
    """
    dtype = scene.bounds.dtype
    directions = rotate(state.quaternion.astype(dtype), jnp.asarray(pattern.directions, dtype))
    origin = state.position.astype(dtype)
    ranges = ray_distance(scene, origin, directions, pattern.max_range)
    valid = jnp.ones(ranges.shape, bool)
    if key is not None and (noise.range_noise > 0 or noise.drop > 0):
        spread, loss = jax.random.split(key)
        noisy = ranges * (1 + noise.range_noise * jax.random.normal(spread, ranges.shape, dtype))
        ranges = jnp.where(ranges < pattern.max_range, jnp.clip(noisy, 0, None), ranges)
        ranges = jnp.minimum(ranges, pattern.max_range)
        valid = jax.random.uniform(loss, ranges.shape) >= noise.drop
    return Sight(state=state, ranges=ranges, valid=valid)
