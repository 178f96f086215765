"""A guess at the active set by Newton's method, all lanes at once, in single precision.

Every constraint becomes a spring, hard ones a very stiff spring: minimise

    1/2 x'Px + q'x + 1/2 sum stiffness (side - normal x)_+^2.

That function is strongly convex and piecewise quadratic. A pass goes towards the minimum of the
piece at x by an exact line search, so the function falls at every pass, and few passes lead to the
last piece (Madsen and Nielsen, BIT 30, 1990; Qi and Sun, Math. Programming 58, 1993). The number of
passes hardly depends on the number of active constraints. What is found is a guess: it is
confirmed, corrected or refused by `settle`, in the precision that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.lanes import FEW, UNROLLED, Lanes, gram, times

STIFFER = 1e2
"""Stiffness of hard constraints, in units of the stiffest soft row."""
STIFF = 1e5
"""Least stiffness of hard constraints, in units of the cost."""
SETTLED = 1e-5
"""Forces on constraints that change sides, in units of all forces, that end the search."""
FAR = 1e30
"""Where a bound is that does not exist; its square would overflow, but is never taken."""
CUTS = 5
"""Evaluations of the line search after the full step's."""


@no_type_check
@struct.dataclass
class Springs:
    """The function to be minimised.

    Attributes:
        P: cost matrix.
        q: linear cost.
        A: rows.
        side: right sides of the rows, of the lower, and of the upper bounds.
        stiffness: of the same.
    """

    P: Float[Array, "n n B"]
    q: Float[Array, "n B"]
    A: Float[Array, "n K B"]
    side: Float[Array, "m B"]
    stiffness: Float[Array, "m B"]

    def sides(self, x: Float[Array, "n B"]) -> Float[Array, "m B"]:
        """Normal x of every constraint."""
        return jnp.concatenate([times(self.A, x), x, -x])


@no_type_check
@struct.dataclass
class Search:
    """Where the search of each lane stands.

    Attributes:
        x: where it is.
        done: whether x lies in the piece of its minimum, or none is sought.
        passes: how many it took.
    """

    x: Float[Array, "n B"]
    done: Bool[Array, " B"]
    passes: Int[Array, " B"]


def springs(lanes: Lanes) -> Springs:
    """Every constraint as a spring, in single precision."""
    lanes = lanes.astype(jnp.float32)
    hard = ~jnp.isfinite(lanes.weight)
    soft = jnp.where(hard, 0, lanes.weight)
    square = jnp.sum(lanes.A * lanes.A, axis=0)
    trace = jnp.max(jnp.stack([lanes.P[j, j] for j in range(lanes.q.shape[0])]), axis=0)
    stiff = jnp.maximum(STIFF * trace, STIFFER * jnp.max(soft * square, axis=0, initial=0))
    rows = jnp.where(hard, stiff / jnp.where(square > 0, square, 1), soft)
    return Springs(
        P=lanes.P,
        q=lanes.q,
        A=lanes.A,
        side=jnp.concatenate(
            [lanes.b, jnp.maximum(lanes.lower, -FAR), jnp.maximum(-lanes.upper, -FAR)]
        ),
        stiffness=jnp.concatenate([rows, *[jnp.broadcast_to(stiff, lanes.q.shape)] * 2]),
    )


def begin(lanes: Springs, done: Bool[Array, " B"]) -> Search:
    """Start from the minimum of the cost alone, moved inside the bounds unless it is allowed."""
    size, rows = lanes.q.shape[0], lanes.A.shape[1]
    x = minimum(lanes.P, lanes.q)
    allowed = jnp.all(lanes.side <= lanes.sides(x), axis=0)
    inside = jnp.clip(x, lanes.side[rows : rows + size], -lanes.side[rows + size :])
    x = jnp.where(allowed, x, inside)
    return Search(jnp.where(done, 0, x), done | allowed, jnp.zeros(done.shape, jnp.int32))


def search(lanes: Springs, state: Search, most: int, spare: int = 0) -> Search:
    """Advance until all lanes but so many are done, or by so many passes."""

    def unfinished(carry: tuple[Search, Array]) -> Array:
        return (carry[1] < most) & (jnp.sum(~carry[0].done) > spare)

    def onwards(carry: tuple[Search, Array]) -> tuple[Search, Array]:
        return advance(lanes, carry[0]), carry[1] + 1

    return jax.lax.while_loop(unfinished, onwards, (state, jnp.zeros((), jnp.int32)))[0]


def minimum(matrix: Float[Array, "n n B"], slope: Float[Array, "n B"]) -> Float[Array, "n B"]:
    """Minimum of 1/2 x'matrix x + slope'x, by Gauss and Jordan."""
    table = jnp.concatenate([matrix, -slope[:, None]], axis=1)
    size, index = matrix.shape[0], jnp.arange(matrix.shape[0])[:, None, None]
    if size <= UNROLLED:
        # Spelled out, columns that are done with can be left out.
        for j in range(size):
            row = table[j, 1:] / table[j, 0]
            table = jnp.where(index == j, row[None], table[:, 1:] - table[:, :1] * row[None])
        return table[:, 0]

    def clear(j: Array, table: Array) -> Array:
        row = table[j] / table[j, j]
        return jnp.where(index == j, row[None], table - table[:, j][:, None] * row[None])

    return jax.lax.fori_loop(0, size, clear, table)[:, -1]


def advance(lanes: Springs, state: Search) -> Search:
    """One pass of every lane that is not done."""
    size, rows = lanes.q.shape[0], lanes.A.shape[1]
    lack = lanes.side - lanes.sides(state.x)
    pressed = lack > 0
    stiffness = jnp.where(pressed, lanes.stiffness, 0)
    force = stiffness * lack
    slope = lanes.q + times(lanes.P, state.x)
    pull = jnp.sum(lanes.A * force[None, :rows], axis=1)
    pull = pull + force[rows : rows + size] - force[rows + size :]
    bounds = stiffness[rows : rows + size] + stiffness[rows + size :]
    own = jnp.eye(size, dtype=slope.dtype)[..., None] * bounds[None]
    matrix = lanes.P + gram(lanes.A, stiffness[:rows]) + own
    step = minimum(matrix, slope - pull)

    after = lanes.sides(step)
    left = lack - after
    changed = jnp.where(pressed != (left > 0), lanes.stiffness * jnp.abs(left), 0)
    level = sum(jnp.abs(slope[j]) + jnp.abs(pull[j]) for j in range(size))
    settled = jnp.max(changed, axis=0, initial=0) <= SETTLED * level
    length = _line_search(lanes, lack, after, slope, step)
    length = jnp.where(settled, 1, length)
    return Search(
        x=jnp.where(state.done, state.x, state.x + length * step),
        done=state.done | settled,
        passes=state.passes + ~state.done,
    )


def _line_search(
    lanes: Springs,
    lack: Float[Array, "m B"],
    after: Float[Array, "m B"],
    slope: Float[Array, "n B"],
    step: Float[Array, "n B"],
) -> Float[Array, " B"]:
    """Length of the step, at most one, that minimises the function along it.

    The derivative along the step is increasing and piecewise linear.
    """
    start, bend = times(slope, step), times(step, times(lanes.P, step))

    def derivative(length: Array) -> tuple[Array, Array]:
        left = lack - length[..., None, :] * after
        pull = jnp.where(left > 0, lanes.stiffness * after, 0)
        return (
            start + length * bend - jnp.sum(pull * left, axis=-2),
            bend + jnp.sum(pull * after, axis=-2),
        )

    few = start.shape[0] <= FEW
    return _by_corners(lack, after, derivative) if few else _by_cuts(start, derivative)


Derivative: TypeAlias = Callable[[Array], tuple[Array, Array]]


def _by_cuts(start: Float[Array, " B"], derivative: Derivative) -> Float[Array, " B"]:
    """Newton's method between two brackets."""
    low, high = jnp.zeros_like(start), jnp.ones_like(start)
    length, (value, curvature) = high, derivative(high)
    whole = value <= 0
    for _ in range(CUTS):
        low, high = jnp.where(value < 0, length, low), jnp.where(value < 0, high, length)
        newton = length - value / curvature
        length = jnp.where((newton > low) & (newton < high), newton, (low + high) / 2)
        value, curvature = derivative(length)
    return jnp.where(whole, 1, length)


def _by_corners(
    lack: Float[Array, "m B"], after: Float[Array, "m B"], derivative: Derivative
) -> Float[Array, " B"]:
    """All corners of the derivative at once: more arithmetic, but few operations."""
    corner = lack / jnp.where(after == 0, 1, after)
    corner = jnp.where((after != 0) & (corner > 0) & (corner < 1), corner, 1)
    corner = jnp.concatenate([corner, jnp.zeros_like(corner[:1]), jnp.ones_like(corner[:1])])
    value = derivative(corner)[0]
    falls = value < 0
    low = jnp.max(jnp.where(falls, corner, 0), axis=0)
    high = jnp.min(jnp.where(falls, 1, corner), axis=0)
    below = jnp.max(jnp.where(falls, value, -jnp.inf), axis=0)
    above = jnp.min(jnp.where(falls, jnp.inf, value), axis=0)
    share = below / (below - above)
    return jnp.where(jnp.isfinite(share), low + (high - low) * share, 1)
