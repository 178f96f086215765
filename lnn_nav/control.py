"""Geometric attitude control: a wished acceleration and yaw rate become a wrench.

After the reduced-attitude law of Lee, Leok and McClamroch (CDC 2010), with the thrust axis alone
as the attitude to reach: no yaw angle, hence no singularity.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from sim.airframe import Airframe
from sim.state import AnyArray, State, rotate_inverse, safe_norm
from sim.twin import DAMPING


@dataclass(frozen=True)
class AttitudeGains:
    """How fast the attitude follows.

    Attributes:
        attitude: [1/s], tilt error to wished body rate.
        rate: [1/s], rate error to angular acceleration.
        min_vertical: least upward share of the thrust, as a fraction of the weight.
        min_thrust: least collective thrust, as a fraction of the weight.
        max_thrust: most collective thrust, as a fraction of what the rotors can give; the rest
            is reserved for torque.
    """

    attitude: float = 20.0
    rate: float = 60.0
    min_vertical: float = 0.2
    min_thrust: float = 0.1
    max_thrust: float = 0.9


def drag(velocity: Float[AnyArray, "*batch 3"]) -> Float[Array, "*batch 3"]:
    """Deceleration by the damping of the air [m/s^2], world frame, at `velocity` [m/s]."""
    velocity = jnp.asarray(velocity)
    return DAMPING * (1 + safe_norm(velocity, keepdims=True)) * velocity


def attitude_wrench(
    airframe: Airframe,
    gains: AttitudeGains,
    state: State,
    acceleration: Float[Array, "*batch 3"],
    yaw_rate: Float[Array, "*batch"],
) -> Float[Array, "*batch 4"]:
    """The wrench that turns the thrust axis towards the wished acceleration.

    Args:
        airframe: the quadrotor.
        gains: of the loop.
        state: position and velocity in the world frame, rates in the body frame.
        acceleration: wished net acceleration [m/s^2], world frame (gravity and drag are added
            here).
        yaw_rate: wished body yaw rate [rad/s].

    Returns:
        Thrust [N] and body torque [N m].
    """
    dtype = acceleration.dtype
    gravity = airframe.gravity
    specific = acceleration + drag(state.velocity.astype(dtype))
    vertical = jnp.maximum(specific[..., 2] + gravity, gains.min_vertical * gravity)
    specific = jnp.concatenate([specific[..., :2], vertical[..., None]], axis=-1)
    force = rotate_inverse(state.quaternion.astype(dtype), specific)
    weight = airframe.mass * gravity
    thrust = jnp.clip(
        airframe.mass * force[..., 2],
        gains.min_thrust * weight,
        gains.max_thrust * airframe.thrust_to_weight * weight,
    )
    # e = R^T (b3 x F/|F|): the axis to turn about, as long as the sine of the tilt error.
    length = safe_norm(force)
    rate_x = -force[..., 1] / length * gains.attitude
    rate_y = force[..., 0] / length * gains.attitude
    wished = jnp.stack([rate_x, rate_y, jnp.broadcast_to(yaw_rate, rate_x.shape)], axis=-1)
    rate = state.angular_velocity.astype(dtype)
    inertia = jnp.asarray(airframe.inertia, dtype)
    torque = inertia * gains.rate * (wished - rate) + jnp.cross(rate, inertia * rate)
    return jnp.concatenate([thrust[..., None], torque], axis=-1)
