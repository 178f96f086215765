"""How fast the rate of a barrier can fall while a control is held: the number `SampledData` needs.

Written out by differentiating twice along the motion; for control-affine systems the fall is a
quadratic of the held control, so it can be bounded over a box of controls without a search.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.barrier import Barrier
from barriernet.chain import MovingFunction, end_of, push_slopes
from barriernet.errors import ModelError
from barriernet.limits import Limits
from barriernet.system import ControlAffineSystem


def largest_curvature(
    system: ControlAffineSystem,
    barrier: Barrier,
    limits: Limits,
    states: Float[FloatArray, "samples states"],
    time: float = 0.0,
) -> float:
    """Measure, at states, how fast d/dt psi_{r-1} can fall.

    At each state it is a bound over all controls inside the limits and the declared disturbance;
    between the states it is not known. Take them from everywhere the system may be, and add a
    reserve.

    Args:
        system: whose motion it is.
        barrier: with its own gains.
        limits: of the control, finite.
        states: where to look.
        time: when [s].

    Returns:
        The largest fall found, >= 0, in units of d/dt psi_{r-1} per second.

    Raises:
        ModelError: a limit is infinite, or the answer is not finite.
    """
    if not bool(jnp.all(jnp.isfinite(limits.lower) & jnp.isfinite(limits.upper))):
        raise ModelError(f"limits: expected finite ones, got {limits}")
    points = jnp.asarray(states)
    barrier, box = barrier.on(system), limits.within(points.dtype)
    last = barrier.chain(system, jnp.asarray(barrier.own_gains, points.dtype))[-1]
    now = jnp.asarray(time, points.dtype)
    found = jax.jit(jax.vmap(lambda x: _curvature_at(system, last, box, x, now)))(points)
    most = float(jnp.max(found))
    if not most < float("inf"):
        raise ModelError(f"h: expected finite derivatives at every state, got {most}")
    return most


def _curvature_at(
    system: ControlAffineSystem, last: MovingFunction, limits: Limits, state: Array, time: Array
) -> Array:
    """The bound at one state: value, slope and curvature of the fall at the middle of the box."""

    def rate(x: Array, t: Array, u: Array) -> Array:
        end = end_of(system, last, x, t)
        return end.A @ u + end.rate

    def fall(u: Array) -> Array:
        onward = (system.rate(state, u), jnp.ones_like(time))
        return -jax.jvp(lambda x, t: rate(x, t, u), (state, time), onward)[1]

    def slopes(u: Array) -> Array:
        return push_slopes(system, lambda x, t: rate(x, t, u), state, time)

    middle, reach = limits.middle, (limits.upper - limits.lower) / 2
    bend = jnp.abs(jax.hessian(fall)(middle))
    most = fall(middle) + jnp.abs(jax.grad(fall)(middle)) @ reach + reach @ bend @ reach / 2
    if system.disturbance is not None:
        most = most + _worst_over_box(system.disturbance.worst, slopes, middle, reach)
    return jnp.maximum(most, 0)


def _worst_over_box(
    worst: Callable[[Array], Array], slopes: Callable[[Array], Array], middle: Array, reach: Array
) -> Array:
    """Bound of a norm of slopes that are affine in the control."""
    columns = jax.jacobian(slopes)(middle)
    return worst(slopes(middle)) + jax.vmap(worst, in_axes=1)(columns) @ reach
