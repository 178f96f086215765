"""What a training flight is judged by. Differentiable: the gradient flows through the twin."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sim.state import safe_norm


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts; the parts are written in `window_loss`.

    Attributes:
        progress: speed along the guide's way that is missing; see `_progress`.
        excess: squared speed above the set speed.
        near: clearance below `comfort` [m], times the closing speed.
        touch: clearance below a few centimetres.
        effort: squared wished acceleration.
        jerk: squared change of the wish.
        corrected: squared difference that the barrier made.
        edge: leaving the bounds.
        average: thoughts over which velocities are averaged.
        comfort: clearance that costs nothing [m].
    """

    progress: float = 1.0
    excess: float = 2.0
    near: float = 9.0
    touch: float = 3.0
    effort: float = 0.01
    jerk: float = 0.002
    corrected: float = 0.02
    edge: float = 4.0
    average: int = 12
    comfort: float = 0.6


def window_loss(
    weights: LossWeights,
    velocity: Float[Array, "time batch 3"],
    wished_velocity: Float[Array, "time batch 3"],
    clearance: Float[Array, "time batch"],
    edge: Float[Array, "time batch"],
    wish: Float[Array, "time batch 3"],
    corrected: Float[Array, "time batch"],
    alive: Float[Array, "time batch"],
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean loss of a window of flight, and its parts.

    Args:
        weights: of the parts.
        velocity: flown [m/s].
        wished_velocity: the guide's direction at the set speed [m/s].
        clearance: from the drone's hull to the nearest solid [m].
        edge: from the drone to the nearest face of the bounds [m], negative outside.
        wish: wished acceleration [m/s^2].
        corrected: squared correction by the barrier [(m/s^2)^2].
        alive: 1 until the target is reached, 0 after.
    """
    count = jnp.maximum(jnp.sum(alive), 1)
    progress, excess = _progress(
        _moving_mean(velocity, weights.average), _moving_mean(wished_velocity, weights.average)
    )
    closing = jnp.clip(clearance[:-1] - clearance[1:], 0) * 24
    closing = jnp.concatenate([closing, closing[-1:]])
    urgency = jnp.maximum(jax.lax.stop_gradient(closing), 0.3)
    change = wish[1:] - wish[:-1]
    parts = {
        "progress": _mean(progress, alive, count),
        "excess": _mean(excess**2, alive, count),
        "near": _mean(urgency * jnp.clip(weights.comfort - clearance, 0) ** 2, alive, count),
        "touch": _mean(urgency * jax.nn.softplus(-25 * (clearance - 0.08)), alive, count),
        "effort": _mean(jnp.sum(wish**2, axis=-1), alive, count),
        "jerk": _mean(jnp.sum(change**2, axis=-1), alive[1:], count),
        "corrected": _mean(corrected, alive, count),
        "edge": _mean(jnp.clip(0.5 - edge, 0) ** 2, alive, count),
    }
    total = sum(getattr(weights, name) * value for name, value in parts.items())
    return total, parts


def _progress(velocity: Array, wished: Array) -> tuple[Array, Array]:
    """Missing speed along the wished direction, and speed in excess of the wished one [m/s].

    Linear in the velocity on purpose. Where the guide goes left or right for reasons that nobody
    can see from here, a distance between velocities is least somewhere in the middle, standing in
    front of the obstacle; a linear loss is least at full speed to the likelier side.
    """
    speed, flown = jnp.asarray(safe_norm(wished)), jnp.asarray(safe_norm(velocity))
    along = jnp.sum(velocity * wished, axis=-1) / jnp.maximum(speed, 1e-3)
    return speed - along, jnp.clip(flown - speed, 0)


def _mean(x: Array, alive: Array, count: Array) -> Array:
    return jnp.sum(x * alive) / count


def _moving_mean(x: Array, width: int) -> Array:
    """Mean over the last `width` entries of the first axis (fewer at the start)."""
    total = jnp.cumsum(x, axis=0)
    before = jnp.concatenate([jnp.zeros_like(x[:width]), total[:-width]])
    span = jnp.minimum(jnp.arange(1, x.shape[0] + 1), width)
    return (total - before) / span.reshape(-1, *(1,) * (x.ndim - 1))
