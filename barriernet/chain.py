"""The chain psi_0 ... psi_r of a barrier and the row at its end, by forward differentiation.

psi_0 = h and psi_i = d/dt psi_{i-1} + p_i psi_{i-1} along the motion without control. The control
shows in psi_r, for the relative degree r, and there it is affine. Xiao and Belta, IEEE CDC 2019
and TAC 2022. A declared disturbance takes its worst from each step in which it shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.errors import ModelError
from barriernet.system import ControlAffineSystem

MovingFunction: TypeAlias = Callable[[Array, Array], Array]
"""From a state `[states]` and a time [s] to a scalar."""


class ChainEnd(NamedTuple):
    """The last step: d/dt psi_{r-1} = A u + rate.

    Attributes:
        A: what the control adds, `[controls]`.
        rate: without control, under the worst of the declared disturbance.
        value: psi_{r-1}.
    """

    A: Float[Array, " controls"]
    rate: Float[Array, ""]
    value: Float[Array, ""]


def height_of(h: Callable[..., Array], time_varying: bool) -> MovingFunction:
    """A barrier function as a function of state and time, in the state's dtype.

    Raises:
        ModelError: h does not answer with one number (when it is called).
    """

    def height(state: Array, time: Array) -> Array:
        value = jnp.asarray(h(state, time) if time_varying else h(state))
        if value.shape != ():
            raise ModelError(f"h: expected one number, got shape {value.shape}")
        return value.astype(state.dtype)

    return height


def chain_of(
    system: ControlAffineSystem,
    first: MovingFunction,
    gains: Float[FloatArray, " steps"],
) -> tuple[MovingFunction, ...]:
    """psi_0, and one psi more for every gain, with the gains held constant."""
    functions = [first]
    for i in range(len(gains)):
        functions.append(_next_in_chain(system, functions[-1], gains[i]))
    return tuple(functions)


def end_of(
    system: ControlAffineSystem,
    last: MovingFunction,
    state: Float[Array, " states"],
    time: Float[Array, ""],
) -> ChainEnd:
    """The rate of the last function before the control, split into what the control adds."""
    value, along = jax.linearize(last, state, time)
    still = jnp.zeros_like(time)
    through = jax.vmap(lambda column: along(column, still), in_axes=1)
    A = through(system.control_matrix(state))
    rate = along(system.drift(state), jnp.ones_like(time))
    if system.disturbance is not None:
        rate = rate - system.disturbance.worst(through(_push_matrix(system, state)))
    return ChainEnd(A, rate, value)


def push_slopes(
    system: ControlAffineSystem,
    function: MovingFunction,
    state: Float[Array, " states"],
    time: Float[Array, ""],
) -> Float[Array, " pushes"]:
    """How a function's rate depends on the declared disturbance: D' grad."""
    return jax.grad(function)(state, time) @ _push_matrix(system, state)


def control_share(
    system: ControlAffineSystem,
    function: MovingFunction,
    state: Float[Array, " states"],
    time: Float[Array, ""],
) -> Float[Array, ""]:
    """How much of a function's gradient the control can use, from 0 to the number of states."""
    slope, channels = jax.grad(function)(state, time), system.control_matrix(state)
    most = jnp.max(jnp.abs(slope)) * jnp.max(jnp.abs(channels))
    return jnp.max(jnp.abs(slope @ channels)) / jnp.where(most == 0, 1, most)


def _next_in_chain(
    system: ControlAffineSystem, function: MovingFunction, gain: FloatArray
) -> MovingFunction:
    push = system.disturbance
    # With the control it comes, with the control it shows: not before the last step.
    early = None if push is None or push.matrix is None else push.worst

    def following(state: Array, time: Array) -> Array:
        onward = (system.drift(state), jnp.ones_like(time))
        value, rate = jax.jvp(function, (state, time), onward)
        if early is not None:
            rate = rate - early(push_slopes(system, function, state, time))
        return rate + gain * value

    return following


def _push_matrix(system: ControlAffineSystem, state: Array) -> Array:
    """D at a state, in its dtype."""
    push = system.disturbance
    matrix = system.g if push is None or push.matrix is None else push.matrix
    return jnp.asarray(matrix(state), state.dtype)
