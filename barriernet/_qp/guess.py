"""A guess at the active set by Newton's method, all lanes at once, in single precision.

Every constraint becomes a spring, hard ones a very stiff spring: minimise

    1/2 x'Px + q'x + 1/2 sum stiffness (side - normal x)_+^2.

That function is strongly convex and piecewise quadratic. A pass goes towards the minimum of the
piece at x by a nearly exact line search, so the function falls at every pass, and few passes lead
to the last piece (Madsen and Nielsen, BIT 30, 1990; Qi and Sun, Math. Programming 58, 1993). The
number of passes hardly depends on the number of active constraints. What is found is a guess: it is
confirmed, corrected or refused by `settle`, in the precision that was asked for.
"""

from __future__ import annotations

from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from barriernet._qp.elimination import minimum
from barriernet._qp.lanes import Lanes, gram, largest, summed, times
from barriernet._qp.line import Line

STIFFER = 1e1
"""Stiffness of hard constraints, in units of the stiffest soft row: more of it, and the rounding of
x would be a force that counts."""
STIFF = 1e5
"""Least stiffness of hard constraints, in units of the cost."""
SETTLED = 1e-5
"""Forces on constraints that change sides, in units of the cost's slope, that end the search."""
STILL = 4 * float(jnp.finfo(jnp.float32).eps)
"""Steps, in units of x, that end it too."""
FAR = 1e30
"""Where a bound is that does not exist; its square would overflow, but is never taken."""
CUTS = 4
"""Lengths that the line search tries after the full step."""


@no_type_check
@struct.dataclass
class Springs:
    """The function to be minimised.

    Attributes:
        P: cost matrix.
        q: linear cost.
        A: rows.
        b: right sides of the rows.
        stiffness: of the rows.
        lower: bounds, far away where there is none.
        upper: bounds, far away where there is none.
        wall: stiffness of the bounds.
    """

    P: Float[Array, "n n B"]
    q: Float[Array, "n B"]
    A: Float[Array, "n K B"]
    b: Float[Array, "K B"]
    stiffness: Float[Array, "K B"]
    lower: Float[Array, "n B"]
    upper: Float[Array, "n B"]
    wall: Float[Array, " B"]


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
    square = times(lanes.A, lanes.A)
    trace = jnp.max(jnp.stack([lanes.P[j, j] for j in range(lanes.q.shape[0])]), axis=0)
    wall = jnp.maximum(STIFF * trace, STIFFER * jnp.max(soft * square, axis=0, initial=0))
    return Springs(
        P=lanes.P,
        q=lanes.q,
        A=lanes.A,
        b=lanes.b,
        stiffness=jnp.where(hard, wall / jnp.where(square > 0, square, 1), soft),
        lower=jnp.maximum(lanes.lower, -FAR),
        upper=jnp.minimum(lanes.upper, FAR),
        wall=wall,
    )


def begin(lanes: Springs, done: Bool[Array, " B"]) -> Search:
    """Start from the minimum of the cost alone, moved inside the bounds unless it is allowed."""
    x = jnp.stack(minimum(lanes.P, lanes.q))
    allowed = jnp.all(lanes.b <= times(lanes.A, x), axis=0)
    allowed &= jnp.all((lanes.lower <= x) & (x <= lanes.upper), axis=0)
    x = jnp.where(allowed, x, jnp.clip(x, lanes.lower, lanes.upper))
    return Search(jnp.where(done, 0, x), done | allowed, jnp.zeros(done.shape, jnp.int32))


def search(lanes: Springs, state: Search, most: int, cuts: int, spare: int = 0) -> Search:
    """Advance until all lanes but so many are done, or by so many passes."""

    def unfinished(carry: tuple[Search, Array]) -> Array:
        return (carry[1] < most) & (jnp.sum(~carry[0].done) > spare)

    def onwards(carry: tuple[Search, Array]) -> tuple[Search, Array]:
        return advance(lanes, carry[0], cuts), carry[1] + 1

    return jax.lax.while_loop(unfinished, onwards, (state, jnp.zeros((), jnp.int32)))[0]


def advance(lanes: Springs, state: Search, cuts: int) -> Search:
    """One pass of every lane that is not done; `cuts` as in `Line.search`."""
    size, rows = lanes.A.shape[:2]
    x = state.x
    lack = lanes.b - times(lanes.A, x)
    short, over = lanes.lower - x, x - lanes.upper
    stiffness = jnp.where(lack > 0, lanes.stiffness, 0)
    slope = [lanes.q[j] + times(lanes.P[j], x) for j in range(size)]
    pull = [
        summed(rows, lambda k, j=j: lanes.A[j, k] * (stiffness[k] * lack[k]))
        + lanes.wall * (jax.nn.relu(short[j]) - jax.nn.relu(over[j]))
        for j in range(size)
    ]
    inner = gram(lanes.A, stiffness)
    matrix = [[lanes.P[i, j] + inner[i][j] for j in range(i + 1)] for i in range(size)]
    for j in range(size):
        matrix[j][j] += jnp.where((short[j] > 0) | (over[j] > 0), lanes.wall, 0)
    step = jnp.stack(minimum(matrix, [slope[j] - pull[j] for j in range(size)]))

    bends = [times(lanes.P[j], step) for j in range(size)]
    line = Line(
        start=times(slope, step),
        bend=times(step, bends),
        stiffness=lanes.stiffness,
        lack=lack,
        after=times(lanes.A, step),
        wall=lanes.wall,
        short=short,
        over=over,
        step=step,
    )
    # Where the step no longer moves x, sides change by rounding only.
    moved = largest(size, lambda j: jnp.abs(step[j])) > STILL * largest(
        size, lambda j: jnp.abs(x[j])
    )
    level = sum(jnp.abs(lanes.q[j]) + jnp.abs(slope[j] + bends[j]) for j in range(size))
    changed = line.changed() / (level + float(jnp.finfo(x.dtype).tiny))
    settled = (changed <= SETTLED) | ~moved
    length = jnp.where(settled, 1, line.search(cuts))
    return Search(
        x=jnp.where(state.done, x, x + length * step),
        done=state.done | settled,
        passes=state.passes + ~state.done,
    )
