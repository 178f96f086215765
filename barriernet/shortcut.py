"""The common case of a safety filter: the wish is already allowed, and nothing has to be solved."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from barriernet.qp import Outcome, Solution, solve_qp


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
    inside = jnp.all((minimiser >= lower) & (minimiser <= upper))
    # Written so that nan anywhere takes the long way, which knows what to do with it. A sum, not
    # a matrix product: it fuses, where a product would be a call of its own.
    allowed = inside & jnp.all(jnp.sum(A * minimiser, axis=-1) >= b)
    count = b.shape[0] + 2 * minimiser.shape[0]

    def at_once(x: Array) -> Solution:
        dtype = x.dtype
        return Solution(
            x=x,
            slack=jnp.zeros(b.shape, dtype),
            multipliers=jnp.zeros(count, dtype),
            active=jnp.zeros(count, bool),
            outcome=jnp.asarray(int(Outcome.SOLVED), jnp.int32),
            iterations=jnp.zeros((), jnp.int32),
            residual=jnp.zeros((), dtype),
        )

    def in_full(x: Array) -> Solution:
        return solve_qp(P, -P @ x, A, b, lower, upper, weight)

    return jax.lax.cond(allowed, at_once, in_full, minimiser)
