"""All problems of a batch: guess, settle, and the careful solver for what is left."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool

from barriernet._qp import guess
from barriernet._qp.answer import Answer
from barriernet._qp.bounds import inside
from barriernet._qp.careful import solve_carefully
from barriernet._qp.compact import apart, in_groups
from barriernet._qp.lanes import Lanes, plain
from barriernet._qp.problem import QP, Outcome
from barriernet._qp.settle import settle

QUICK = 12
"""Passes of a guess over all lanes of a large batch, with `CUTS` of each step; then once more so
many over what is left, with `MORE_CUTS`. What has not ended by then is settled as it is."""
CUTS = 4
"""Lengths of a step that are tried after the whole one."""
MORE_CUTS = 10
"""Nearly an exact line search, without which a search can, seldom, go round in circles."""
SPARE = 16
"""The last lanes of so many are left to that, gathered."""
MOST = 20
"""Passes of a small batch."""
SMALLEST = 128
"""Fewest lanes that a batch is cut into."""
NUMBERS = 40_000
"""Rows times lanes that fit the caches of a core."""
WORTH_GROUPS = 64
"""Lanes from which on gathering unfinished ones pays."""
CAREFUL = 8
"""Problems in a group of the careful solver."""


def solve_one(asked: QP) -> Answer:
    """Solve one problem whose P is symmetric; under `vmap`, all problems together."""
    return jax.tree.map(lambda part: part[0], _solve_batch(jax.tree.map(_alone, asked)))


def _alone(part: Array) -> Array:
    return jnp.asarray(part)[None]


@custom_vmap
def _solve_batch(asked: QP) -> Answer:
    """Solve problems along the first axis; further batch axes join it."""
    count, rows = asked.b.shape
    pieces = -(-count // max(SMALLEST, NUMBERS // (rows + 8)))
    size = apart(-(-count // pieces))

    def cut(part: Array) -> Array:
        filled = jnp.resize(part, (size * pieces, *part.shape[1:]))
        return filled.reshape(pieces, size, *part.shape[1:])

    if size == count:
        return _solve_piece(asked)
    cuts = jax.tree.map(cut, asked)
    if pieces == 1:
        answer = _solve_piece(jax.tree.map(lambda part: part[0], cuts))
    else:
        answer = jax.lax.map(_solve_piece, cuts)
        answer = jax.tree.map(lambda part: part.reshape(-1, *part.shape[2:]), answer)
    return jax.tree.map(lambda part: part[:count], answer)


def _solve_piece(asked: QP) -> Answer:
    """Solve problems along the first axis, all at once."""
    lanes = Lanes(*(jnp.moveaxis(getattr(asked, name), 0, -1) for name in _NAMES))
    lanes = replace(lanes, A=jnp.swapaxes(lanes.A, 0, 1))
    return jax.tree.map(lambda part: jnp.moveaxis(part, -1, 0), solve_lanes(lanes))


_NAMES = tuple(QP.__dataclass_fields__)


@_solve_batch.def_vmap
def _solve_batches(axis_size: int, in_batched: list[QP], asked: QP) -> tuple[Answer, Answer]:
    def joined(part: Array, batched: bool) -> Array:
        part = part if batched else jnp.broadcast_to(part[None], (axis_size, *part.shape))
        return part.reshape(axis_size * part.shape[1], *part.shape[2:])

    answer = _solve_batch(jax.tree.map(joined, asked, in_batched[0]))
    count = asked.b.shape[-2] if in_batched[0].b else asked.b.shape[0]
    answer = jax.tree.map(lambda part: part.reshape(axis_size, count, *part.shape[1:]), answer)
    return answer, jax.tree.map(lambda _: True, answer)


def solve_lanes(lanes: Lanes) -> Answer:
    """Solve problems with symmetric P, the lanes last in and out."""
    fine = plain(lanes)
    found = _guessed(lanes, fine)
    answer = _settled(lanes, found, fine)
    refused = ~fine | (answer.outcome != int(Outcome.SOLVED))
    return in_groups(_careful, lanes, answer, refused, CAREFUL)


def _settled(lanes: Lanes, found: guess.Search, wanted: Bool[Array, " B"]) -> Answer:
    """Settle guesses in double precision, where the process allows it, whatever was asked.

    Forces of rows that contradict each other cancel; single precision keeps four digits of what
    is left.
    """
    asked = lanes.q.dtype
    wide = jax.dtypes.canonicalize_dtype(jnp.float64)
    answer = settle(lanes.astype(wide), found.x.astype(wide), found.passes, wanted)

    def narrowed(part: Array) -> Array:
        return part.astype(asked) if part.dtype == wide else part

    answer = jax.tree.map(narrowed, answer)
    # Conversions flush subnormal bounds to zero.
    return replace(answer, x=inside(answer.x, lanes.lower, lanes.upper))


def _careful(lanes: Lanes, _: Answer, wanted: Bool[Array, " size"]) -> Answer:  # noqa: ARG001
    def solve(lane: Lanes) -> Answer:
        return solve_carefully(QP(**{**vars(lane), "A": lane.A.T}))

    return jax.vmap(solve, in_axes=-1, out_axes=-1)(lanes)


def _guessed(lanes: Lanes, wanted: Bool[Array, " B"]) -> guess.Search:
    """Guesses for all lanes: over all of them, then, more carefully, in groups of what is left."""
    count = wanted.shape[0]
    problem = guess.springs(lanes)
    state = guess.begin(problem, ~wanted)
    if count < WORTH_GROUPS:
        return guess.search(problem, state, MOST, CUTS)
    state = guess.search(problem, state, QUICK, CUTS, spare=count // SPARE)

    def go_on(
        problem: guess.Springs, state: guess.Search, there: Bool[Array, " size"]
    ) -> guess.Search:
        state = replace(state, done=state.done | ~there)
        return guess.search(problem, state, QUICK, MORE_CUTS)

    return in_groups(go_on, problem, state, ~state.done, apart(count // SPARE))
