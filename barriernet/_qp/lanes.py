"""Many problems side by side: variables first, then rows, the lanes (one problem each) last.

In this layout every operation of a solver is elementwise over lanes, which compilers turn into
vector instructions; matrix routines on [lanes, n, n] would run lane by lane.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from barriernet._qp.scaling import largest_number

Carry = TypeVar("Carry")

FEW = 4
"""Up to so many lanes the number of operations counts, not the arithmetic."""
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


def times(A: Float[Array, "n *rows B"], x: Float[Array, "n B"]) -> Float[Array, "*rows B"]:
    """Sum over the first axis of A_j x_j; spelled out, so that it fuses with what is around it."""
    total = A[0] * x[0]
    for j in range(1, A.shape[0]):
        total = total + A[j] * x[j]
    return total


def gram(A: Float[Array, "n K B"], weight: Float[Array, "K B"]) -> Float[Array, "n n B"]:
    """A' diag(weight) A.

    On a CPU one reduction for each pair of variables is fastest.
    """
    size = A.shape[0]
    if A.shape[2] <= FEW or size > UNROLLED:
        return jnp.sum(A[:, None] * (A * weight)[None], axis=2)
    entries = {
        (i, j): jnp.sum(A[i] * weight * A[j], axis=0) for i in range(size) for j in range(i, size)
    }
    return jnp.stack(
        [jnp.stack([entries[min(i, j), max(i, j)] for j in range(size)]) for i in range(size)]
    )


def pulled(A: Float[Array, "n K B"], force: Float[Array, "K B"]) -> Float[Array, "n B"]:
    """A' force."""
    return jnp.sum(A * force[None], axis=1)


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
