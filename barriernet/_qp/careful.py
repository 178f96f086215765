"""The careful solver: one problem, any numbers, every outcome.

It examines and scales the problem, finds the active set one constraint at a time, polishes the
answer through orthogonal factors and says what is wrong where something is. Ten times slower than
a settled guess, it decides whatever that leaves open.
"""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from barriernet._qp.active_set import ActiveSet, iteration_limit, run
from barriernet._qp.answer import NONE, Answer
from barriernet._qp.bounds import inside
from barriernet._qp.polish import Polished, optimality_residual, polish
from barriernet._qp.problem import QP, Outcome
from barriernet._qp.scaling import ScaledQP, examine, scaled, tamed


def solve_carefully(asked: QP) -> Answer:
    """Solve one problem whose P is symmetric; no derivatives pass through."""
    seen = examine(asked)
    sound = seen.refused == int(Outcome.SOLVED)
    problem = scaled(tamed(asked, sound), seen)
    found = _with_blank_rows(run(problem, sound), problem)
    polished = polish(problem, found)
    outcome, residual = _verdict(problem, found, polished)
    outcome = jnp.where(sound, outcome, seen.refused).astype(jnp.int32)
    x, slack, multipliers = _in_units(asked, seen.stretch, problem, polished)
    response, shift, stiffness = _inverse(found, seen.stretch)
    return Answer(
        x=x,
        slack=slack,
        multipliers=multipliers,
        active=polished.active & sound,
        slot=jnp.where(sound, found.slot, NONE),
        response=response,
        shift=shift,
        stiffness=stiffness,
        outcome=outcome,
        iterations=found.iterations,
        residual=jnp.where(sound & jnp.isfinite(residual), residual, 1),
    )


def _with_blank_rows(found: ActiveSet, problem: ScaledQP) -> ActiveSet:
    """Soft rows of zeros with b > 0 are active, though x cannot change them."""
    rows = problem.soft.shape[0]
    lacking = ~problem.usable[:rows] & problem.soft & (problem.c[:rows] > 0)
    return replace(
        found,
        soft_active=found.soft_active | lacking,
        soft_multiplier=jnp.where(
            lacking, problem.weight * problem.c[:rows], found.soft_multiplier
        ),
    )


def _verdict(
    problem: ScaledQP, found: ActiveSet, answer: Polished
) -> tuple[Int[Array, ""], Float[Array, ""]]:
    """Outcome of a sound problem, and the residual that it rests on."""
    rows, dtype = problem.soft.shape[0], problem.q.dtype
    tolerance = 1e-8 if dtype == jnp.float64 else 1e-4
    rounding = (1e2 * float(jnp.finfo(dtype).eps)) ** 2 / tolerance
    residual = optimality_residual(problem, found.relaxed, answer, rounding)
    finished = found.iterations < iteration_limit(problem.q.shape[0], rows)
    impossible = ~problem.usable[:rows] & ~problem.soft & (problem.c[:rows] > 0)
    # A residual that is NaN compares as False.
    solved = jnp.where(
        finished & (residual <= tolerance), int(Outcome.SOLVED), int(Outcome.UNCONVERGED)
    )
    infeasible = found.relaxed | jnp.any(impossible)
    return jnp.where(infeasible, int(Outcome.INFEASIBLE), solved), residual


def _in_units(
    asked: QP, stretch: Float[Array, " K"], problem: ScaledQP, answer: Polished
) -> tuple[Array, Array, Array]:
    """Put x, slack and multipliers in the asker's units, finite, and x inside its bounds."""
    size, rows = asked.q.shape[0], asked.b.shape[0]
    scaled_row = answer.multipliers[:rows]
    at_lower, at_upper = answer.active[rows : rows + size], answer.active[rows + size :]
    values = (
        jnp.where(at_lower, asked.lower, jnp.where(at_upper, asked.upper, answer.x)),
        scaled_row * problem.compliance * stretch,
        jnp.concatenate([scaled_row / stretch, answer.multipliers[rows:]]),
    )
    x, slack, multipliers = (jnp.where(jnp.isfinite(value), value, 0) for value in values)
    return inside(x, asked.lower, asked.upper), slack, multipliers


def _inverse(
    found: ActiveSet, stretch: Float[Array, " K"]
) -> tuple[Float[Array, "n n"], Float[Array, "n n"], Float[Array, "n n"]]:
    """Response, shift and stiffness of `Answer`, of the active set that was found."""
    white, _, held, inner = found.bases
    size, used = len(white), found.used[:, None]
    stiffness = jnp.where(used & used.T, inner @ inner.T, 0)
    shift = stiffness @ held.T
    response = white @ (jnp.eye(size, dtype=white.dtype) - held @ shift) @ white.T
    # Back to rows that are not of length one.
    lengths = jnp.concatenate([stretch, jnp.ones(2 * size, white.dtype)])
    unit = lengths[jnp.maximum(found.slot, 0)]
    return response, (shift @ white.T) / unit[:, None], stiffness / (unit[:, None] * unit)
