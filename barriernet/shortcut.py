"""The common case of a safety filter: the wish is already allowed, and nothing has to be solved.

On a CPU a compiled call pays for the solver that it contains, run or not: 20 us for the buffers of
its hundred reductions. Where that counts, compile `answer_at_once` alone, look at the outcome, and
call what contains `solve_qp_near` only if there is something to solve.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from barriernet.qp import Outcome, Solution, solve_qp

NearSolver: TypeAlias = Callable[[Array, Array, Array, Array, Array, Array, Array], Solution]
"""What is called like `solve_qp_near`."""


def solve_qp_near(
    minimiser: Float[Array, " n"],
    P: Float[Array, "n n"],
    A: Float[Array, "K n"],
    b: Float[Array, " K"],
    lower: Float[Array, " n"],
    upper: Float[Array, " n"],
    weight: Float[Array, " K"],
) -> Solution:
    """Solve `solve_qp` with q = -P minimiser, at once where the minimiser meets every constraint.

    Outside `vmap` only one of the two ways is computed; under `vmap` both are.

    Args:
        minimiser: minimum of the cost alone, for a filter its wish.
        P: cost matrix, positive definite.
        A: rows.
        b: right side of each row.
        lower: smallest x.
        upper: largest x.
        weight: price of each row's squared slack, +inf for a hard row.

    Returns:
        The same answer as `solve_qp`, exact in both ways.
    """

    def in_full(x: Array) -> Solution:
        return solve_qp(P, -P @ x, A, b, lower, upper, weight)

    allowed = _allowed(minimiser, A, b, lower, upper)
    at_once = partial(_unchanged, b.shape[0], int(Outcome.SOLVED))
    return jax.lax.cond(allowed, at_once, in_full, minimiser)


def answer_at_once(
    minimiser: Float[Array, " n"],
    P: Float[Array, "n n"],  # noqa: ARG001 - called like solve_qp_near
    A: Float[Array, "K n"],
    b: Float[Array, " K"],
    lower: Float[Array, " n"],
    upper: Float[Array, " n"],
    weight: Float[Array, " K"],  # noqa: ARG001
) -> Solution:
    """The answer of `solve_qp_near` where the minimiser meets every constraint.

    Elsewhere there is no answer: the outcome is `UNCONVERGED`. Arguments as there.
    """
    allowed = _allowed(minimiser, A, b, lower, upper)
    outcome = jnp.where(allowed, int(Outcome.SOLVED), int(Outcome.UNCONVERGED))
    return _unchanged(b.shape[0], outcome, minimiser)


def _allowed(x: Array, A: Array, b: Array, lower: Array, upper: Array) -> Bool[Array, ""]:
    """Whether x meets every constraint; nan anywhere says no, and the solver knows what to do."""
    # Products spelled out: they fuse, where a matrix product would be a call of its own.
    sides = sum((A[:, i] * x[i] for i in range(1, x.shape[0])), A[:, 0] * x[0])
    return jnp.all((x >= lower) & (x <= upper)) & jnp.all(sides >= b)


def _unchanged(rows: int, outcome: Array | int, x: Array) -> Solution:
    """The minimiser as an answer."""
    count = rows + 2 * x.shape[0]
    return Solution(
        x=x,
        slack=jnp.zeros(rows, x.dtype),
        multipliers=jnp.zeros(count, x.dtype),
        active=jnp.zeros(count, bool),
        outcome=jnp.asarray(outcome, jnp.int32),
        iterations=jnp.zeros((), jnp.int32),
        residual=jnp.zeros((), x.dtype),
    )
