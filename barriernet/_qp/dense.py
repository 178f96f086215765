"""Orthogonal bases of the very small spaces a control filter works in.

Both functions return a triangular T that makes a basis orthonormal, so that every solve with the
matrix behind it is a product or two. LAPACK calls cost more than the arithmetic at this size and
run one by one under `vmap`; triangular solves unrolled into scalars take long to compile.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def whiten(
    matrix: Float[Array, "n n"],
) -> tuple[Float[Array, "n n"], Float[Array, "n n"], Bool[Array, ""]]:
    """Columns that are orthonormal in the inner product of a symmetric matrix.

    Never raises, and for finite input never returns NaN.

    Returns:
        T, upper triangular, with T' matrix T = 1; R = inverse of T, so that R'R = matrix; and
        whether the matrix is positive definite in floating point, without which T and R mean
        nothing.
    """
    size = matrix.shape[0]
    smallest = 4 * size * float(jnp.finfo(matrix.dtype).eps)
    both = jnp.concatenate([matrix, jnp.eye(size, dtype=matrix.dtype)])
    squares = []
    positive = jnp.asarray(True)
    for j in range(size):
        products = both[size:, j] @ both[:size]
        healthy = products[j] > smallest * matrix[j, j]
        positive = positive & healthy
        squares.append(jnp.where(healthy, products[j], 1))
        both = _cleared(both, j, products / squares[j])
    both = both / jnp.sqrt(jnp.stack(squares))
    return both[size:], both[:size].T, positive


def orthonormal(rows: Float[Array, "r n"]) -> tuple[Float[Array, "n n"], Float[Array, "r n"]]:
    """Orthonormal columns Q = rows T, by Gram and Schmidt in the modified form.

    rows' rows is never formed: half the digits would be lost where rows differ in weight.

    Returns:
        T, upper triangular, with T T' = inverse of rows' rows; and Q.
    """
    count, size = rows.shape
    both = jnp.concatenate([rows, jnp.eye(size, dtype=rows.dtype)])
    squares = []
    for j in range(size):
        products = both[:count, j] @ both[:count]
        squares.append(jnp.where(products[j] > 0, products[j], 1))
        both = _cleared(both, j, products / squares[j])
    both = both / jnp.sqrt(jnp.stack(squares))
    return both[count:], both[:count]


def _cleared(both: Float[Array, "r n"], j: int, ratio: Float[Array, " n"]) -> Float[Array, "r n"]:
    """Take `ratio` times column j out of the columns after it."""
    if j + 1 == both.shape[1]:
        return both
    later = jnp.arange(both.shape[1]) > j
    return both - both[:, j, None] * jnp.where(later, ratio, 0)
