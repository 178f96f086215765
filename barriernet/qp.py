"""Small dense quadratic programs with soft rows: one function, exact answers, exact gradients."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.active_set import ActiveSet, iteration_limit, run
from barriernet._qp.bounds import inside
from barriernet._qp.polish import Polished, optimality_residual, polish
from barriernet._qp.problem import QP as QP
from barriernet._qp.problem import FloatArray
from barriernet._qp.problem import Outcome as Outcome
from barriernet._qp.problem import Solution as Solution
from barriernet._qp.problem import describe as describe
from barriernet._qp.scaling import ScaledQP, examine, scaled, tamed


def solve_qp(
    P: Float[FloatArray, "n n"],
    q: Float[FloatArray, " n"],
    A: Float[FloatArray, "K n"],
    b: Float[FloatArray, " K"],
    lower: Float[FloatArray, " n"],
    upper: Float[FloatArray, " n"],
    weight: Float[FloatArray, " K"],
) -> Solution:
    """Solve one strictly convex quadratic program with soft and hard rows.

    minimise 1/2 x'Px + q'x + 1/2 sum weight slack^2
    subject to A x + slack >= b, slack >= 0, lower <= x <= upper.

    Pure; works under `jit`, `vmap`, `grad` and `jvp`, in float32 and float64. For batches use
    `vmap`. Bad numbers never raise and never come out: look at `outcome`. Derivatives are those of
    the exact answer (one-sided where the active set changes); those of an answer that was not
    accepted are zero.

    Args:
        P: cost matrix, positive definite; its symmetric part counts.
        q: linear cost.
        A: rows; K = 0 is fine.
        b: right side of each row.
        lower: smallest x; -inf for none.
        upper: largest x; +inf for none. May equal `lower`.
        weight: price > 0 of each row's squared slack; +inf makes the row hard.

    Returns:
        The answer; `x` lies in [lower, upper] bit for bit, whatever the outcome.
    """
    dtype = jnp.result_type(P, q, A, b, lower, upper, weight)
    asked = QP(*(jnp.asarray(part, dtype) for part in (P, q, A, b, lower, upper, weight)))
    asked = replace(asked, P=(asked.P + asked.P.T) / 2)
    seen = examine(jax.lax.stop_gradient(asked))
    sound = seen.refused == int(Outcome.SOLVED)
    tame = tamed(asked, sound)
    problem = scaled(tame, seen)
    frozen = jax.lax.stop_gradient(problem)

    found = _with_blank_rows(run(frozen, sound), frozen)
    answer = polish(problem, found)
    outcome, residual = _verdict(frozen, found, jax.lax.stop_gradient(answer))
    outcome = jnp.where(sound, outcome, seen.refused).astype(jnp.int32)
    good = outcome == int(Outcome.SOLVED)
    x, slack, multipliers = _answered(asked, seen.stretch, problem, answer, good)
    return Solution(
        x=x,
        slack=slack,
        multipliers=multipliers,
        active=answer.active & sound,
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


def _answered(
    asked: QP,
    stretch: Float[Array, " K"],
    problem: ScaledQP,
    answer: Polished,
    good: Bool[Array, ""],
) -> tuple[Array, Array, Array]:
    """Put x, slack and multipliers in the asker's units, finite, and x inside its bounds."""
    size, rows = asked.q.shape[0], asked.b.shape[0]
    scaled_row = answer.multipliers[:rows]
    at_lower, at_upper = answer.active[rows : rows + size], answer.active[rows + size :]
    values = (
        jnp.where(at_lower, asked.lower, jnp.where(at_upper, asked.upper, answer.x)),
        scaled_row * problem.compliance * stretch,
        jnp.concatenate([scaled_row / stretch, answer.multipliers[rows:]]),
        asked.lower,
        asked.upper,
    )
    x, slack, multipliers, lower, upper = (
        jnp.where(good, value, jax.lax.stop_gradient(value)) for value in values
    )
    x, slack, multipliers = (
        jnp.where(jnp.isfinite(value), value, 0) for value in (x, slack, multipliers)
    )
    return inside(x, lower, upper), slack, multipliers
