"""Orthogonal bases of the very small spaces a control filter works in.

Both functions return a triangular T that makes a basis orthonormal, so that every solve with the
matrix behind it is a product or two. LAPACK calls cost more than the arithmetic at this size and
run one by one under `vmap`; loops unrolled into scalars run faster and take long to compile.
"""

from __future__ import annotations

from typing import TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Pair: TypeAlias = tuple[Array, Array]


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

    def clear(j: Array, both: Pair) -> Pair:
        image, white = both
        ratio = _share_of_later(image @ white[j], j)
        return image - ratio * image[j], white - ratio * white[j]

    image, white = jax.lax.fori_loop(0, size, clear, (matrix, jnp.eye(size, dtype=matrix.dtype)))
    square = jnp.sum(image * white, axis=1)
    # A NaN compares as False.
    positive = jnp.all(square > smallest * jnp.diagonal(matrix))
    root = jnp.sqrt(jnp.where(square > 0, square, 1))[:, None]
    return (white / root).T, image / root, positive


def orthonormal(rows: Float[Array, "r n"]) -> tuple[Float[Array, "n n"], Float[Array, "r n"]]:
    """Orthonormal columns Q = rows T, by Gram and Schmidt in the modified form.

    rows' rows is never formed: half the digits would be lost where rows differ in weight.

    Returns:
        T, upper triangular, with T T' = inverse of rows' rows; and Q.
    """
    size = rows.shape[1]

    def clear(j: Array, both: Pair) -> Pair:
        basis, white = both
        ratio = _share_of_later(basis @ basis[j], j)
        return basis - ratio * basis[j], white - ratio * white[j]

    basis, white = jax.lax.fori_loop(0, size, clear, (rows.T, jnp.eye(size, dtype=rows.dtype)))
    square = jnp.sum(basis * basis, axis=1)
    root = jnp.sqrt(jnp.where(square > 0, square, 1))[:, None]
    return (white / root).T, (basis / root).T


def _share_of_later(products: Float[Array, " n"], j: Array) -> Float[Array, "n 1"]:
    """How much of vector j the vectors after it hold, as a column."""
    later = (jnp.arange(products.shape[0]) > j) & (products[j] > 0)
    return jnp.where(later, products / jnp.where(products[j] > 0, products[j], 1), 0)[:, None]
