"""A system that is no double integrator, with a backup: a vehicle that steers and can stop.

The state is x, y [m], heading [rad], speed [m/s]; the controls are acceleration [m/s^2] and turn
rate [rad/s]. The backup stops straight ahead. Three balls stand around; the speed is limited, so
that a fixed number of ticks is enough to stop, and where it has stopped it stays: the path ends in
an invariant set without any more being asked of it.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from barriernet.backup import BackupFlow, held_over_ticks
from barriernet.limits import Limits
from barriernet.system import ControlAffineSystem

TICK, BRAKE, TURN, TOP_SPEED = 0.05, 3.0, 2.0, 2.0
"""Period of the control [s], largest acceleration [m/s^2], turn rate [rad/s], speed [m/s]."""
BALLS = np.array([[1.5, 0.0, 0.6], [-1.2, 1.0, 0.5], [0.0, -1.6, 0.7]])
"""Centres and radii [m]."""
TICKS = math.ceil(TOP_SPEED / BRAKE / TICK)


def vehicle_limits() -> Limits:
    """Of acceleration and turn rate."""
    return Limits.between([-BRAKE, -TURN], [BRAKE, TURN])


def vehicle_flow() -> BackupFlow:
    """The vehicle, its backup, and what must stay at or above zero."""
    system = ControlAffineSystem(
        lambda x: jnp.stack([x[3] * jnp.cos(x[2]), x[3] * jnp.sin(x[2]), 0 * x[0], 0 * x[0]]),
        lambda x: jnp.asarray([[0, 0], [0, 0], [0, 1], [1, 0]], x.dtype),
        states=4,
    )

    def backup(x: Array) -> Array:
        return jnp.stack([jnp.clip(-x[3] / TICK, -BRAKE, BRAKE), 0 * x[3]])

    def height(x: Array) -> Array:
        balls = jnp.asarray(BALLS, x.dtype)
        apart = jnp.sum((x[:2] - balls[:, :2]) ** 2, axis=1)
        # A floor of 1e-20 m^2: the distance has a derivative even at a centre.
        clear = jnp.sqrt(apart + 1e-20) - balls[:, 2]
        return jnp.concatenate([clear, jnp.stack([TOP_SPEED - x[3], TOP_SPEED + x[3]])])

    return BackupFlow(held_over_ticks(system, TICK), backup, height, TICKS)


def random_vehicle_states(draws: np.random.Generator, states: int) -> Float[np.ndarray, "states 4"]:
    """Anywhere around the balls, inside them too; a quarter at rest, a quarter at top speed."""
    kind = np.arange(states) % 4
    speed = draws.uniform(-TOP_SPEED, TOP_SPEED, states)
    speed = np.select([kind == 0, kind == 1], [0 * speed, TOP_SPEED * np.sign(speed)], speed)
    place = draws.uniform(-3, 3, (states, 2))
    heading = draws.uniform(-np.pi, np.pi, (states, 1))
    return np.concatenate([place, heading, speed[:, None]], axis=1)
