"""Small dense quadratic programs with soft rows: one function, exact answers, exact gradients."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
from jaxtyping import Float

from barriernet._qp.derivative import solve_differentiably
from barriernet._qp.problem import QP as QP
from barriernet._qp.problem import FloatArray
from barriernet._qp.problem import Outcome as Outcome
from barriernet._qp.problem import Solution as Solution
from barriernet._qp.problem import describe as describe


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
    answer = solve_differentiably(asked)
    return Solution(
        x=answer.x,
        slack=answer.slack,
        multipliers=answer.multipliers,
        active=answer.active,
        outcome=answer.outcome,
        iterations=answer.iterations,
        residual=answer.residual,
    )
