"""Many problems side by side: variables first, then rows, the lanes (one problem each) last.

In this layout every operation of a solver is elementwise over lanes, which compilers turn into
vector instructions; matrix routines on [lanes, n, n] would run lane by lane.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import TypeAlias, TypeVar, no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from barriernet._qp.scaling import largest_number

Carry = TypeVar("Carry")
Vector: TypeAlias = Sequence[Array] | Array
"""n numbers, or arrays, of each lane."""
Matrix: TypeAlias = Sequence[Sequence[Array]] | Array
"""n x n numbers of each lane, symmetric: those on and below the diagonal count."""

SPELLED = 32
"""Up to so many rows sums over them are spelled out: faster, and longer to compile."""
FEW = 4
"""Up to so many lanes that does not pay."""
UNROLLED = 6
"""Up to so many variables loops over them are spelled out: faster, and longer to compile."""


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Lanes:
    """Quadratic programs as `QP` has them, side by side.

    Attributes:
        P: symmetric cost matrices.
        q: linear costs.
        A: rows, the variable first.
        b: right sides.
        lower: bounds, -inf where there is none.
        upper: bounds, +inf where there is none.
        weight: price of each row's squared slack, +inf for a hard row.
    """

    P: Float[Array, "n n B"]
    q: Float[Array, "n B"]
    A: Float[Array, "n K B"]
    b: Float[Array, "K B"]
    lower: Float[Array, "n B"]
    upper: Float[Array, "n B"]
    weight: Float[Array, "K B"]

    def astype(self, dtype: DTypeLike) -> Lanes:
        """The same problems in another precision."""
        return Lanes(*(getattr(self, name).astype(dtype) for name in self.__dataclass_fields__))


def times(A: Vector, x: Vector) -> Array:
    """Sum over the first axis of A_j x_j; spelled out, so that it fuses with what is around it."""
    return reduce(operator.add, map(operator.mul, A, x))


def once(value: Array) -> Array:
    """The same numbers, as an array of their own.

    XLA works cheap expressions out anew in everything that uses them, and so on down the chain: in
    spelled out sums that multiplies the work. It never does so with a division, and cannot know
    that this one is by 1 (or of a NaN by 0).
    """
    return value / (value == value).astype(value.dtype)


def summed(count: int, term: Callable[[int | slice], Array]) -> Array:
    """Sum of term(0), term(1), ...; over rows, or over variables.

    Few terms are spelled out and fuse with what is around them into one loop over the lanes; a
    reduction would be a call of its own, from memory to memory.

    Args:
        count: of the terms.
        term: of the k-th; of a slice of them, their array `[terms, B]`.
    """
    if 0 < count <= SPELLED and term(0).shape[-1] > FEW:
        return reduce(operator.add, map(term, range(count)))
    return jnp.sum(term(slice(None)), axis=0)


def largest(count: int, term: Callable[[int | slice], Array]) -> Array:
    """Maximum of terms >= 0, otherwise as `summed`."""
    if 0 < count <= SPELLED and term(0).shape[-1] > FEW:
        return reduce(jnp.maximum, map(term, range(count)))
    return jnp.max(term(slice(None)), axis=0, initial=0)


def gram(A: Float[Array, "n K B"], weight: Float[Array, "K B"]) -> Matrix:
    """A' diag(weight) A, the entries on and below the diagonal."""
    size, rows = A.shape[:2]
    if size > UNROLLED:
        return jnp.sum(A[:, None] * (A * weight)[None], axis=2)

    def entry(i: int, j: int) -> Array:
        return summed(rows, lambda k: A[i, k] * weight[k] * A[j, k])

    return [[entry(i, j) for j in range(i + 1)] for i in range(size)]


def mirrored(matrix: Matrix) -> list[list[Array]]:
    """Every entry of a symmetric matrix, from those on and below the diagonal."""
    size = range(len(matrix))
    return [[matrix[max(i, j)][min(i, j)] for j in size] for i in size]


def pulled(A: Float[Array, "n K B"], force: Float[Array, "K B"]) -> list[Array]:
    """A' force."""
    return [summed(A.shape[1], lambda k, row=row: row[k] * force[k]) for row in A]


def plain(lanes: Lanes) -> Bool[Array, " B"]:
    """Whether the numbers of each lane may be worked with as they are.

    The others are for the careful solver, which says what is wrong with them.
    """
    limit = largest_number(lanes.q.dtype) ** 0.75
    soft = jnp.isfinite(lanes.weight)
    # Written so that a NaN, which compares as False, fails.
    fine = jnp.all(jnp.abs(lanes.P) <= limit, axis=(0, 1)) & jnp.all(jnp.abs(lanes.q) <= limit, 0)
    fine &= jnp.all((jnp.abs(lanes.A) <= limit).all(axis=0) & (jnp.abs(lanes.b) <= limit), axis=0)
    fine &= jnp.all((lanes.weight >= 1 / limit) & (~soft | (lanes.weight <= limit)), axis=0)
    bounds = (lanes.lower <= lanes.upper) & (lanes.lower <= limit) & (lanes.upper >= -limit)
    return fine & jnp.all(bounds, axis=0) & _convex(lanes.P)


def _convex(matrix: Float[Array, "n n B"]) -> Bool[Array, " B"]:
    """Whether elimination meets positive pivots only."""
    size = matrix.shape[0]
    least = 4 * size * float(jnp.finfo(matrix.dtype).eps)
    index = jnp.arange(size)[:, None, None]

    def eliminate(j: int | Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        table, good = carry
        pivot = table[j, j]
        row = table[j] / jnp.where(pivot > 0, pivot, 1)
        below = jnp.where(index > j, table[:, j][:, None], 0)
        return table - below * row[None], good & (pivot > least * matrix[j, j])

    return for_each(size, eliminate, (matrix, jnp.ones(matrix.shape[2:], bool)))[1]


def for_each(count: int, step: Callable[[int | Array, Carry], Carry], carry: Carry) -> Carry:
    """A loop over variables, spelled out where they are few."""
    if count > UNROLLED:
        return jax.lax.fori_loop(0, count, step, carry)
    for j in range(count):
        carry = step(j, carry)
    return carry
