"""What the safety half of a pilot keeps from tick to tick: expectation, disturbance, anchor."""

from __future__ import annotations

from dataclasses import replace
from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from lnn_nav.control import drag
from sim import twin
from sim.airframe import Airframe
from sim.state import State, safe_norm, up_of

OBSERVER_TIME = 0.25
"""Time constant of the disturbance observer [s]."""

LARGEST_DISTURBANCE = 2.5
"""Bound of the estimated disturbance [m/s^2]."""


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Guard:
    """The safety half's memory.

    Attributes:
        expected: where the twin says the drone will be at the next tick.
        thrust: specific thrust of the last command [m/s^2].
        disturbance: estimated acceleration that nothing explains (wind, mass error) [m/s^2].
        anchor: the point that the backup holds [m].
        holding: the backup flew at the last tick.
        primed: at least one tick has passed.
    """

    expected: twin.TwinState
    thrust: Float[Array, ""]
    disturbance: Float[Array, " 3"]
    anchor: Float[Array, " 3"]
    holding: Bool[Array, ""]
    primed: Bool[Array, ""]


def blank_guard(airframe: Airframe, state: State, dtype: DTypeLike) -> Guard:
    """Before the first tick: hovering at the start is what is expected."""
    body = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), state)
    return Guard(
        expected=twin.start(body),
        thrust=jnp.asarray(airframe.gravity, dtype),
        disturbance=jnp.zeros(3, dtype),
        anchor=body.position,
        holding=jnp.zeros((), bool),
        primed=jnp.zeros((), bool),
    )


def mended(airframe: Airframe, guard: Guard, state: State) -> tuple[Guard, Bool[Array, ""]]:
    """The guard, or a blank one in its place if any part of it is not finite; and if it was."""
    leaves = [jnp.ravel(leaf).astype(guard.thrust.dtype) for leaf in jax.tree.leaves(guard)]
    whole = jnp.all(jnp.isfinite(jnp.concatenate(leaves)))
    blank = blank_guard(airframe, state, guard.thrust.dtype)
    return jax.tree.map(lambda own, new: jnp.where(whole, own, new), guard, blank), whole


def estimate(guard: Guard, state: State, tick: float) -> tuple[Guard, State, Bool[Array, ""]]:
    """Check the state estimate, and learn the disturbance from what was not expected.

    Args:
        guard: so far.
        state: the estimate, perhaps with non-finite parts.
        tick: time between two calls [s].

    Returns:
        The guard with its disturbance updated, the state to act on (the expected one where the
        estimate is not finite, or its quaternion is none), and whether the estimate was sound.
    """
    parts = (state.position, state.velocity, state.quaternion, state.angular_velocity)
    sound = jnp.all(jnp.isfinite(jnp.concatenate(parts)))
    sound = sound & (jnp.abs(safe_norm(state.quaternion) - 1) < 0.01)
    body = jax.tree.map(lambda given, own: jnp.where(sound, given, own), state, guard.expected.body)
    surprise = (body.velocity - guard.expected.body.velocity) / tick
    learnt = guard.disturbance + tick / OBSERVER_TIME * surprise
    learnt = learnt / jnp.maximum(safe_norm(learnt) / LARGEST_DISTURBANCE, 1)
    use = sound & guard.primed
    return replace(guard, disturbance=jnp.where(use, learnt, guard.disturbance)), body, sound


def acceleration_of(airframe: Airframe, guard: Guard, state: State) -> Float[Array, " 3"]:
    """The drone's acceleration now [m/s^2], world frame: thrust, weight, drag, disturbance."""
    gravity = jnp.asarray([0.0, 0.0, airframe.gravity], guard.thrust.dtype)
    pull = jnp.asarray(up_of(state.quaternion)) * guard.thrust
    return pull - gravity - drag(state.velocity) + guard.disturbance


def expect(
    airframe: Airframe, guard: Guard, state: State, forces: Float[Array, " 4"], tick: float
) -> Guard:
    """Ask the twin where these forces will bring the drone in one tick."""
    lagged = jnp.where(guard.primed, guard.expected.lagged_quaternion, state.quaternion)
    now = twin.TwinState(state, lagged)
    push = airframe.mass * guard.disturbance
    return replace(
        guard,
        expected=twin.step(airframe, now, forces.astype(guard.thrust.dtype), tick, push),
        thrust=jnp.sum(forces).astype(guard.thrust.dtype) / airframe.mass,
        primed=jnp.ones((), bool),
    )
