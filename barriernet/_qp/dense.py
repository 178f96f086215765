"""Cholesky factors and triangular solves of the very small matrices a control filter needs.

LAPACK calls cost more than the arithmetic below n = 8 and run one by one under `vmap`, so small
factors are unrolled into scalars: under `vmap` each scalar becomes one vector over the batch.
"""

from __future__ import annotations

from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

UNROLL_LIMIT = 8
"""Largest matrix that is unrolled [rows]."""


@no_type_check
@struct.dataclass
class Factor:
    """Cholesky factor of a symmetric matrix, M = L L'.

    Attributes:
        lower: the entries of L; a tuple of rows of scalars when unrolled, else a matrix.
        inverse_diagonal: 1 / L[i, i], scalars, when unrolled; else empty.
        positive: whether the matrix was positive definite in floating point. Where it was not,
            the entries are finite but meaningless.
    """

    lower: tuple[tuple[Array, ...], ...] | Array
    inverse_diagonal: tuple[Array, ...]
    positive: Bool[Array, ""]


def factor(matrix: Float[Array, "n n"]) -> Factor:
    """Factor a symmetric matrix; never raises and never returns NaN for finite input."""
    size = matrix.shape[0]
    smallest = 4 * size * float(jnp.finfo(matrix.dtype).eps)
    if size <= UNROLL_LIMIT:
        return _factor_unrolled(matrix, smallest)
    tentative = jnp.linalg.cholesky(matrix)
    pivots = jnp.diagonal(tentative)
    # NaN compares as False, so a failed LAPACK factorization is "not positive".
    positive = jnp.all(pivots * pivots > smallest * jnp.diagonal(matrix))
    lower = jnp.where(positive, tentative, jnp.eye(size, dtype=matrix.dtype))
    return Factor(lower=lower, inverse_diagonal=(), positive=positive)


def _factor_unrolled(matrix: Float[Array, "n n"], smallest: float) -> Factor:
    size = matrix.shape[0]
    rows: list[list[Array]] = []
    inverse: list[Array] = []
    positive = jnp.asarray(True)
    for i in range(size):
        row: list[Array] = []
        for j in range(i):
            dot = sum((row[k] * rows[j][k] for k in range(j)), jnp.zeros((), matrix.dtype))
            row.append((matrix[i, j] - dot) * inverse[j])
        pivot = matrix[i, i] - sum((v * v for v in row), jnp.zeros((), matrix.dtype))
        healthy = pivot > smallest * matrix[i, i]
        positive = positive & healthy
        root = jnp.sqrt(jnp.where(healthy, pivot, 1))
        inverse.append(1 / root)
        row.append(root)
        rows.append(row)
    return Factor(tuple(tuple(row) for row in rows), tuple(inverse), positive)


def factor_rows(stack: Float[Array, "r n"]) -> tuple[Factor, Float[Array, "r n"]]:
    """Factor S'S without forming it: half the digits would be lost where rows differ in weight.

    Gram-Schmidt in its modified form, column after column.

    Returns:
        The factor L of S'S = L L', and Q = S L'^-1, whose columns are orthonormal.
    """
    size = stack.shape[1]
    rows: list[Array] = []
    inverse: list[Array] = []
    unit: list[Array] = []
    positive = jnp.asarray(True)
    for j in range(size):
        products = stack[:, j] @ stack
        healthy = products[j] > 0
        positive = positive & healthy
        square = jnp.where(healthy, products[j], 1)
        inverse.append(1 / jnp.sqrt(square))
        rows.append(jnp.where(healthy, products, 0) * inverse[j])
        unit.append(stack[:, j] * inverse[j])
        if j + 1 < size:
            stack = stack - stack[:, j, None] * (products / square)
    basis = jnp.stack(unit, axis=1)
    if size <= UNROLL_LIMIT:
        lower = tuple(tuple(rows[k][i] for k in range(i)) + (1 / inverse[i],) for i in range(size))
        return Factor(lower, tuple(inverse), positive), basis
    upper = jnp.triu(jnp.stack(rows))
    diagonal = jnp.where(jnp.diagonal(upper) > 0, jnp.diagonal(upper), 1)
    upper = jnp.triu(upper, 1) + jnp.diag(diagonal)
    return Factor(upper.T, (), positive), basis


def forward(chol: Factor, right: Float[Array, "n *k"]) -> Float[Array, "n *k"]:
    """Solve L y = right for one vector `[n]` or several columns `[n, k]`."""
    if not isinstance(chol.lower, tuple):
        return _triangular(chol.lower, right, transposed=False)
    out: list[Array] = []
    for i, row in enumerate(chol.lower):
        rest = right[i]
        for k in range(i):
            rest = rest - row[k] * out[k]
        out.append(rest * chol.inverse_diagonal[i])
    return jnp.stack(out)


def backward(chol: Factor, right: Float[Array, "n *k"]) -> Float[Array, "n *k"]:
    """Solve L' y = right for one vector `[n]` or several columns `[n, k]`."""
    if not isinstance(chol.lower, tuple):
        return _triangular(chol.lower, right, transposed=True)
    size = len(chol.lower)
    out: list[Array] = [right[i] for i in range(size)]
    for i in reversed(range(size)):
        rest = right[i]
        for k in range(i + 1, size):
            rest = rest - chol.lower[k][i] * out[k]
        out[i] = rest * chol.inverse_diagonal[i]
    return jnp.stack(out)


def solve(chol: Factor, right: Float[Array, "n *k"]) -> Float[Array, "n *k"]:
    """Solve M y = right."""
    return backward(chol, forward(chol, right))


def _triangular(lower: Array, right: Array, *, transposed: bool) -> Array:
    matrix = right if right.ndim == 2 else right[:, None]
    solved = jax.lax.linalg.triangular_solve(
        lower, matrix, left_side=True, lower=True, transpose_a=transposed
    )
    return solved if right.ndim == 2 else solved[:, 0]


def upper(chol: Factor) -> Float[Array, "n n"]:
    """L' as a matrix."""
    if not isinstance(chol.lower, tuple):
        return chol.lower.T
    size = len(chol.lower)
    zero = jnp.zeros_like(chol.lower[0][0])
    return jnp.stack(
        [jnp.stack([zero] * j + [chol.lower[k][j] for k in range(j, size)]) for j in range(size)]
    )
