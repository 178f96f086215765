"""What an adversary wants, where the wind blows, and where a body may leave to."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from barriernet.backup import Motion
from barriernet.verify import arena

FULL, LITTLE, CRUISE = 8.0, 0.3, 1.5
"""What adversaries wish for [m/s^2, m/s^2], and how fast a body wants to leave [m/s]."""
ROOM, RETURN = 5.0, 3.0
"""Bodies that are farther out than this are sent back to the balls [m], this fast [m/s]."""
FREE = 0.1
"""A direction is free that leads away from a ball, or passes it at this distance or more [m]."""
_CUBE = np.array(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)))
DIRECTIONS = arena.unit(_CUBE[np.any(_CUBE != 0, axis=1)])
"""What is tried: to the faces, edges and corners of a cube."""


class Orders(NamedTuple):
    """A script's, for one segment; see `Scripts`."""

    gust: Float[Array, ""]
    deed: Int[Array, ""]
    noise: Float[Array, " 3"]
    lapse: Int[Array, ""]


def wished(
    orders: Orders,
    tick: Int[Array, ""],
    motion: Motion,
    at_it: Float[Array, " 3"],
    way: Float[Array, " 3"],
) -> Float[Array, " 3"]:
    """The wish of one tick, perhaps NaN [m/s^2].

    Args:
        orders: of this segment.
        tick: in the segment.
        motion: of the body.
        at_it: unit vector at the ball that is meant.
        way: unit vector to leave in.
    """
    deed, alternating = orders.deed, jnp.where(tick % 2 == 0, FULL, -FULL)
    throttle = jnp.select(
        [deed == arena.CREEP, deed == arena.CHATTER], [jnp.asarray(LITTLE), alternating], FULL
    )
    out = jnp.sqrt(jnp.sum(motion.point**2))
    course = jnp.where(deed == arena.LEAVE, CRUISE * way, -RETURN / out * motion.point)
    wish = jnp.select(
        [(deed == arena.LEAVE) | (out > ROOM), deed == arena.SHAKE],
        [4 * (course - motion.velocity), FULL * jnp.sign(orders.noise)],
        throttle * at_it,
    )
    lost = (deed == arena.FAIL) | ((tick >= orders.lapse) & (deed != arena.LEAVE))
    return jnp.where(lost, jnp.nan, wish)


def blown(
    wind: Int[Array, ""],
    gale: Float[Array, " 3"],
    orders: Orders,
    at_nearest: Float[Array, " 3"],
) -> Float[Array, " 3"]:
    """Where the wind blows in one tick, a unit vector."""
    return jnp.select(
        [wind == arena.HOSTILE, wind == arena.SWITCHING], [at_nearest, orders.gust * gale], gale
    )


def free_way(
    point: Float[Array, " 3"], centres: Float[Array, "K 3"], radii: Float[Array, " K"]
) -> Float[Array, " 3"]:
    """The free direction that leads most steeply away from all balls; zero if none is free."""
    to, ways = centres - point, jnp.asarray(DIRECTIONS)
    ahead = ways @ to.T
    passed = jnp.sqrt(jnp.maximum(jnp.sum(to**2, axis=1) - ahead**2, 0)) - radii
    room = jnp.min(jnp.where(ahead <= 0, jnp.inf, passed), axis=1)
    steepest = jnp.min(-ahead / jnp.sqrt(jnp.sum(to**2, axis=1)), axis=1)
    best = jnp.argmax(jnp.where(room >= FREE, steepest, -jnp.inf))
    return jnp.where(jnp.any(room >= FREE), ways[best], 0)
