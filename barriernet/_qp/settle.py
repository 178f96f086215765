"""From a guess at the active set to the exact answer, or to the admission that there is none.

From a good guess one correction settles. What does not settle, or does not meet the conditions of
optimality to rounding, is left to the careful solver.
"""

from __future__ import annotations

from functools import reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.answer import Answer
from barriernet._qp.bounds import inside
from barriernet._qp.compact import in_groups
from barriernet._qp.correct import ROUNDING, Active, active_at, corrected, slots_of
from barriernet._qp.lanes import Lanes, largest, once, pulled, summed, times
from barriernet._qp.problem import Outcome

FEWEST = 16
"""Lanes of a group, at least."""
PASSES = 4
"""Corrections of what the first left open before the careful solver is asked."""


def settle(
    lanes: Lanes, x: Float[Array, "n B"], passes: Int[Array, " B"], wanted: Bool[Array, " B"]
) -> Answer:
    """Confirm, correct or refuse a guess.

    Args:
        lanes: the problems.
        x: near the answers.
        passes: spent on the guess.
        wanted: which lanes to care for.

    Returns:
        Answers with the lanes last; the outcome is `SOLVED` or `UNCONVERGED`.
    """
    state = corrected(lanes, active_at(lanes, x), None)
    waiting = wanted & ~state.settled
    state = in_groups(_corrected_further, lanes, state, waiting, max(FEWEST, x.shape[1] // 32))
    return _judged(lanes, state, passes)


def _corrected_further(lanes: Lanes, state: Active, wanted: Bool[Array, " B"]) -> Active:
    """Corrections with hard rows."""

    def unfinished(carry: tuple[Active, Array]) -> Array:
        return (carry[1] < PASSES) & jnp.any(wanted & ~carry[0].settled)

    def onwards(carry: tuple[Active, Array]) -> tuple[Active, Array]:
        state, count = carry
        slots = slots_of(lanes, state) if lanes.b.shape[0] else None
        return corrected(lanes, state, slots), count + 1

    return jax.lax.while_loop(unfinished, onwards, (state, jnp.zeros((), jnp.int32)))[0]


def _judged(lanes: Lanes, state: Active, passes: Int[Array, " B"]) -> Answer:
    """The answers, and whether they meet the conditions of optimality."""
    x, force = (once(part) for part in _refined(lanes, state))
    size, rows = len(x), len(force)
    soft = jnp.isfinite(lanes.weight)
    slack = jnp.where(soft, force / jnp.where(soft, lanes.weight, 1), 0)
    lack = lanes.b - times(lanes.A, x)
    slope = [once(part) for part in _slope(lanes, x, force)]
    lower = [jnp.where(state.at_lower[j], jax.nn.relu(slope[j]), 0) for j in range(size)]
    upper = [jnp.where(state.at_upper[j], jax.nn.relu(-slope[j]), 0) for j in range(size)]

    tiny = float(jnp.finfo(x.dtype).tiny)
    off = [jnp.abs(slope[j] - lower[j] + upper[j]) for j in range(size)]
    stationarity = reduce(jnp.maximum, off) / (_terms(lanes, x, force) + tiny)
    reach = jnp.abs(lanes.b) + times(jnp.abs(lanes.A), jnp.abs(x)) + tiny
    gap = jnp.where(state.rows, jnp.abs(lack - slack), jnp.maximum(lack, 0)) / reach
    residual = jnp.maximum(stationarity, largest(rows, lambda k: gap[k]))
    solved = state.settled & (residual <= ROUNDING * float(jnp.finfo(x.dtype).eps))
    return Answer(
        x=x,
        slack=slack,
        multipliers=jnp.concatenate([force, jnp.stack(lower), jnp.stack(upper)]),
        active=jnp.concatenate([state.rows, state.at_lower, state.at_upper]),
        slot=state.slot,
        response=state.response,
        shift=state.shift,
        stiffness=state.stiffness,
        outcome=jnp.where(solved, int(Outcome.SOLVED), int(Outcome.UNCONVERGED)).astype(jnp.int32),
        iterations=passes,
        residual=residual,
    )


def _slope(lanes: Lanes, x: Float[Array, "n B"], force: Float[Array, "K B"]) -> list[Array]:
    """Slope of the Lagrangian without the bounds."""
    pull = pulled(lanes.A, force)
    return [lanes.q[j] + times(lanes.P[j], x) - pull[j] for j in range(len(x))]


def _terms(lanes: Lanes, x: Float[Array, "n B"], force: Float[Array, "K B"]) -> Array:
    """The largest sum of what `_slope` adds up, in magnitude."""
    rows, reach = len(force), jnp.abs(x)

    def of(j: int) -> Array:
        pull = summed(rows, lambda k: jnp.abs(lanes.A[j, k]) * force[k])
        return jnp.abs(lanes.q[j]) + times(jnp.abs(lanes.P[j]), reach) + pull

    return reduce(jnp.maximum, map(of, range(len(x))))


def _refined(lanes: Lanes, state: Active) -> tuple[Float[Array, "n B"], Float[Array, "K B"]]:
    """The answer, and the rows' multipliers to the last digit.

    A stiff row turns the rounding of x into force; one more step of Newton's method moves x by
    less than that rounding, and its forces by what they were off.
    """
    x = jnp.where(state.at_lower, lanes.lower, jnp.where(state.at_upper, lanes.upper, state.x))
    x = inside(x, lanes.lower, lanes.upper)
    weight = jnp.where(state.rows & jnp.isfinite(lanes.weight), lanes.weight, 0)
    force = weight * (lanes.b - times(lanes.A, x)) + state.held
    force = once(force)
    slope = [once(part) for part in _slope(lanes, x, force)]
    step = once(-times(state.response, slope))
    force = force - weight * times(lanes.A, step)
    return inside(x + step, lanes.lower, lanes.upper), jnp.maximum(force, 0)
