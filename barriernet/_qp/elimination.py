"""Elimination in many small symmetric matrices at once, the batch along the last axis.

Spelled out for few variables. Every quotient is an array of its own (XLA works a division out once,
but cheaper expressions anew in everything that uses them).
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from barriernet._qp.lanes import UNROLLED, Matrix, Vector, mirrored


class Factors(NamedTuple):
    """A matrix as L D L'.

    Attributes:
        below: L[i][j] for i > j; ones on the diagonal.
        pivots: the diagonal of D.
    """

    below: list[list[Array]]
    pivots: list[Array]


def factorised(matrix: Matrix) -> Factors:
    """The factors of positive definite matrices."""
    below, pivots = [], []
    for i in range(len(matrix)):
        row, scaled = [], []
        for j in range(i):
            rest = matrix[i][j]
            for k in range(j):
                rest = rest - scaled[k] * below[j][k]
            scaled.append(rest)
            row.append(rest / pivots[j])
        pivot = matrix[i][i]
        for k in range(i):
            pivot = pivot - scaled[k] * row[k]
        below.append(row)
        pivots.append(pivot)
    return Factors(below, pivots)


def solved(factors: Factors, right: Vector) -> list[Array]:
    """Solve matrix x = right for x."""
    below, pivots = factors
    size, forward = len(pivots), []
    for i in range(size):
        rest = right[i]
        for k in range(i):
            rest = rest - below[i][k] * forward[k]
        forward.append(rest)
    x = [part / pivot for part, pivot in zip(forward, pivots, strict=True)]
    for i in reversed(range(size)):
        for k in range(i + 1, size):
            x[i] = x[i] - below[k][i] * x[k]
    return x


def minimum(matrix: Matrix, slope: Vector) -> list[Array]:
    """Minimum of 1/2 x'matrix x + slope'x."""
    size = len(slope)
    if size <= UNROLLED:
        return solved(factorised(matrix), [-part for part in slope])
    whole = jnp.stack([jnp.stack(row) for row in mirrored(matrix)])
    table = jnp.concatenate([whole, -jnp.stack(list(slope))[:, None]], axis=1)
    index = jnp.arange(size)[:, None, None]

    def clear(j: Array, table: Array) -> Array:
        row = table[j] / table[j, j]
        return jnp.where(index == j, row[None], table - table[:, j][:, None] * row[None])

    return list(jax.lax.fori_loop(0, size, clear, table)[:, -1])


def inverse(factors: Factors) -> list[list[Array]]:
    """The inverse of the matrix, the entries on and below the diagonal."""
    below, pivots = factors
    size = len(pivots)
    # Of L, again lower triangular with ones on the diagonal.
    opposite: list[list[Array | float]] = []
    for i in range(size):
        row: list[Array | float] = [
            -sum((below[i][k] * opposite[k][j] for k in range(j, i)), start=0.0) for j in range(i)
        ]
        opposite.append([*row, 1.0])
    scaled = [[opposite[k][i] / pivots[k] for i in range(k + 1)] for k in range(size)]

    def entry(i: int, j: int) -> Array:
        terms = [scaled[k][i] * opposite[k][j] for k in range(i, size)]
        return reduce(operator.add, terms)

    return [[entry(i, j) for j in range(i + 1)] for i in range(size)]
