"""A body that can always brake: its virtual motion, its braking path, the backup's control.

The body is a double integrator of any dimension whose commanded acceleration u arrives through a
first-order lag tau: a' = (u - a) / tau. Its *virtual point* y = p + tau v and *virtual velocity*
z = v + tau a move as an exact double integrator, y' = z, z' = u, and p follows y without ever
leaving the convex hull of where y has been. Without lag they are position and velocity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, no_type_check

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Float

from barriernet.backup.geometry import norm, share_of_segment

AnyArray: TypeAlias = Array | np.ndarray


@dataclass(frozen=True)
class Braking:
    """What the backup may count on.

    Attributes:
        deceleration: a, net of the declared disturbance [m/s^2].
        lag: tau, of the commanded acceleration [s]; 0 for none.
        tick: dt, the period of the control [s].
        inner: how far the path may sink into a tube before every other aim yields to stopping
            short of the rest of it [m].
    """

    deceleration: float
    lag: float
    tick: float
    inner: float

    def __post_init__(self) -> None:
        """Refuse numbers with which no body brakes.

        Raises:
            ValueError: naming the field.
        """
        for name, value in vars(self).items():
            if name == "lag" and value == 0:
                continue
            if not (value > 0 and value < float("inf")):
                raise ValueError(f"{name}: expected a positive finite number, got {value}")


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Motion:
    """A body as the barriers see it.

    Attributes:
        point: y, the virtual point [m], `[n]`.
        velocity: z, the virtual velocity [m/s], `[n]`.
    """

    point: Float[Array, "*batch n"]
    velocity: Float[Array, "*batch n"]


def motion_of(
    braking: Braking,
    position: Float[AnyArray, "*batch n"],
    velocity: Float[AnyArray, "*batch n"],
    acceleration: Float[AnyArray, "*batch n"],
) -> Motion:
    """The virtual point and velocity of a body whose true acceleration is `acceleration`."""
    point = jnp.asarray(position + braking.lag * velocity)
    return Motion(point, jnp.asarray(velocity + braking.lag * acceleration))


def next_motion(braking: Braking, motion: Motion, control: Float[Array, "*batch n"]) -> Motion:
    """The motion one tick later, exactly, with the control held [m/s^2]."""
    dt = braking.tick
    point = motion.point + motion.velocity * dt + control * (0.5 * dt * dt)
    return Motion(point, motion.velocity + control * dt)


def stopping_time(braking: Braking, motion: Motion) -> Float[Array, "*batch"]:
    """How long the virtual velocity would take to the stop point [s]."""
    a = braking.deceleration
    return (norm(motion.velocity) + a * braking.tick) / (2 * a)


def stop_point(braking: Braking, motion: Motion) -> Float[Array, "*batch n"]:
    """Where the backup brings the virtual point to rest [m]."""
    return motion.point + motion.velocity * stopping_time(braking, motion)[..., None]


def brake_control(braking: Braking, motion: Motion) -> Float[Array, "*batch n"]:
    """The backup's control while it moves: full braking, without running backwards [m/s^2]."""
    speed = norm(motion.velocity)[..., None]
    return -motion.velocity / jnp.maximum(speed / braking.deceleration, braking.tick)


def hold_control(
    braking: Braking,
    motion: Motion,
    anchor: Float[Array, "*batch n"],
    stiffness: float = 4.0,
    damping: float = 4.0,
) -> Float[Array, "*batch n"]:
    """The backup's control at rest: stay at the anchor against a disturbance [m/s^2].

    Args:
        braking: what the backup may count on.
        motion: the body.
        anchor: the point to hold [m].
        stiffness: [1/s^2].
        damping: [1/s].

    Returns:
        A control no longer than the deceleration.
    """
    pull = stiffness * (anchor - motion.point) - damping * motion.velocity
    length = norm(pull)[..., None]
    return pull * (braking.deceleration / jnp.maximum(length, braking.deceleration))


def distance_to_path(
    braking: Braking, motion: Motion, points: Float[Array, "*points n"]
) -> Float[Array, "*points"]:
    """Distance of each point from the braking path of one motion [m]."""
    along = stop_point(braking, motion) - motion.point
    share = share_of_segment(points, motion.point, along)
    return norm(motion.point + share[..., None] * along - points)
