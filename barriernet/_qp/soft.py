"""The answer for an active set without hard rows: one elimination, spelled out.

What `correct` does in a tableau, for the case that nearly every lane is in: active rows are
springs, and every variable is free or at a bound.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from barriernet._qp.elimination import Factors, factorised, inverse, solved
from barriernet._qp.lanes import Lanes, Matrix, gram, mirrored, once, pulled, times


class Balance(NamedTuple):
    """Where the free variables come to rest between springs and bounds.

    Attributes:
        step: of each variable; fixed ones take theirs to the bound.
        force: slope of the cost and the springs there, 0 for free variables but for rounding.
        matrix: of cost and springs, M.
        factors: of M with ones on the diagonal, and zeros beside it, for fixed variables.
    """

    step: Float[Array, "n B"]
    force: Float[Array, "n B"]
    matrix: Matrix
    factors: Factors


def balance(
    lanes: Lanes,
    x: Float[Array, "n B"],
    weight: Float[Array, "K B"],
    fixed: Bool[Array, "n B"],
    hold: Float[Array, "n B"],
) -> Balance:
    """Work out the answer in residual form.

    Args:
        lanes: the problems.
        x: from where.
        weight: of the active rows, 0 for others.
        fixed: variables at a bound.
        hold: their steps to it, 0 for the others.
    """
    size = len(x)
    lack = lanes.b - times(lanes.A, x)
    pull = pulled(lanes.A, weight * lack)
    slope = [lanes.q[j] + times(lanes.P[j], x) - pull[j] for j in range(size)]
    inner = gram(lanes.A, weight)
    matrix = [[lanes.P[i, j] + inner[i][j] for j in range(i + 1)] for i in range(size)]
    matrix = mirrored(matrix)

    def masked(i: int, j: int) -> Array:
        return jnp.where(fixed[i] | fixed[j], float(i == j), matrix[i][j])

    factors = factorised([[masked(i, j) for j in range(i + 1)] for i in range(size)])
    held = [slope[j] + times(matrix[j], hold) for j in range(size)]
    step = solved(factors, [jnp.where(fixed[j], hold[j], -held[j]) for j in range(size)])
    force = [slope[j] + times(matrix[j], step) for j in range(size)]
    return Balance(jnp.stack(step), jnp.stack(force), matrix, factors)


def responses(
    found: Balance, fixed: Bool[Array, "n B"], sign: Float[Array, "n B"]
) -> tuple[Float[Array, "n n B"], Float[Array, "n n B"], Float[Array, "n n B"]]:
    """Response, shift and stiffness of `Answer`.

    Args:
        found: the balance.
        fixed: variables at a bound.
        sign: 1 at a lower bound, -1 at an upper one.
    """
    matrix, whole = _table(found.matrix), _table(mirrored(inverse(found.factors)))
    pair = fixed[:, None] & fixed[None]
    free = once(jnp.where(fixed[:, None] | fixed[None], 0, whole))
    # How a bound's move shifts the free variables, and what is left of its own stiffness.
    along = once(_product(matrix, free))
    left = matrix - _product(along, matrix)
    own = jnp.eye(len(fixed), dtype=along.dtype)[..., None]
    shift = jnp.where(fixed[:, None], sign[:, None] * (own - along), 0)
    return free, shift, jnp.where(pair, sign[:, None] * left * sign[None], 0)


def _product(left: Float[Array, "n n B"], right: Float[Array, "n n B"]) -> Float[Array, "n n B"]:
    each = range(len(left))
    return times([left[:, k, None] for k in each], [right[None, k] for k in each])


def _table(rows: Matrix) -> Float[Array, "n n B"]:
    return jnp.stack([jnp.stack(row) for row in rows])
