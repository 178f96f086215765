"""How fast a body may approach a plane and still stop before it, as a row on the control."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from barriernet.backup.braking import Braking, Motion, brake_control
from barriernet.backup.geometry import EPSILON, direction, dot


def approach_row(
    braking: Braking, motion: Motion, normal: Array, room: Array, retreat: Array
) -> tuple[Array, Array, Array]:
    """Bound the approach speed w = -n.z+ so that the stop point keeps within `room` along -n.

    Stopping from approach speed w with tangential speed t takes w (sqrt(w^2 + t^2) + a dt) / (2 a)
    along -n. The largest w is found at the backup's own t, and its tangent in t gives a row that
    is linear in the control, holds for the backup whenever the backup keeps within `room`, and
    also limits gaining tangential speed, which would lengthen the stop. With no room left the
    row asks for the (negative) approach speed `retreat`.

    Args:
        braking: what the backup may count on.
        motion: the body.
        normal: unit vectors away from the planes.
        room: that the next stop point may use up [m].
        retreat: approach speed wanted where there is no room [m/s].

    Returns:
        Unit row, bound [m/s^2], and metres of room that a unit of the row stands for [s^2].
    """
    dt, a = braking.tick, braking.deceleration
    next_backup = motion.velocity + brake_control(braking, motion) * dt
    across = next_backup[..., None, :]
    across = across - dot(normal, across)[..., None] * normal
    sideways, slip = direction(across, jnp.zeros_like(across))
    approach = _approach_speed(2 * a * jnp.maximum(room, 0), slip, a * dt)
    total = jnp.sqrt(approach**2 + slip**2 + EPSILON**2)
    stretch = total + approach**2 / total + a * dt
    slope = approach * slip / total / stretch
    blocked = room <= 0
    slope = jnp.where(blocked, 0, slope)
    approach = jnp.where(blocked, retreat, approach)
    row = normal - slope[..., None] * sideways
    length = jnp.sqrt(1 + slope**2)
    now = dot(row, motion.velocity[..., None, :])
    bound = (-approach - slope * slip - now) / (dt * length)
    return row / length[..., None], bound, length * dt * stretch / (2 * a)


def _approach_speed(energy: Array, slip: Array, step: Array | float) -> Array:
    """The w >= 0 that solves w (sqrt(w^2 + slip^2) + step) = energy.

    Newton from above on a convex increasing function: monotone, so it ends at or just above the
    root (1e-12 relative after four steps over the whole range used here).
    """
    square = slip * slip
    root = jnp.sqrt(square * square + 4 * energy * energy + EPSILON**4)
    speed = jnp.sqrt(2 * energy * energy / (square + root) + EPSILON**4)
    for _ in range(4):
        total = jnp.sqrt(speed * speed + square + EPSILON**2)
        excess = speed * (total + step) - energy
        speed = jnp.maximum(speed - excess / (total + speed * speed / total + step), 0)
    return speed
