"""Derivatives of an answer by implicit differentiation of its active set.

With the active set held, the conditions of optimality are linear in the answer, so a change of the
problem's numbers changes the answer by the inverse that comes with it (`Answer`); that inverse
changes by a formula of its own, so derivatives of any order exist. Where the active set changes
they are one-sided; those of what was not accepted are zero.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from barriernet._qp.answer import Answer
from barriernet._qp.problem import QP, Outcome
from barriernet._qp.solve import solve_one


@jax.custom_jvp
def solve_differentiably(asked: QP) -> Answer:
    """Solve one problem whose P is symmetric, with derivatives in every number."""
    return solve_one(asked)


@solve_differentiably.defjvp
def _jvp(asked: tuple[QP], change: tuple[QP]) -> tuple[Answer, Answer]:
    answer = solve_differentiably(*asked)
    return answer, _change(_harmless(asked[0], answer), answer, change[0])


def _harmless(asked: QP, answer: Answer) -> QP:
    """The problem, with numbers that stay finite in products where it was not accepted."""
    good = answer.outcome == int(Outcome.SOLVED)
    soft = jnp.isfinite(asked.weight)
    asked = jax.tree.map(lambda part: jnp.where(good, part, 0), asked)
    return replace(asked, weight=jnp.where(soft, asked.weight, 0))


def _change(asked: QP, answer: Answer, change: QP) -> Answer:
    """Change of an answer with a change of its problem."""
    size, rows = asked.q.shape[0], asked.b.shape[0]
    good = answer.outcome == int(Outcome.SOLVED)
    change = jax.tree.map(lambda part: jnp.where(good, part, 0), change)
    x, row_multiplier = answer.x, answer.multipliers[:rows]
    soft = answer.active[:rows] & (asked.weight > 0)
    weight = jnp.where(soft, asked.weight, 0)
    # By how much every row's side moves past x.
    shortened = change.b - change.A @ x
    pressed = weight * shortened + jnp.where(soft, change.weight * answer.slack, 0)
    force = row_multiplier @ change.A + pressed @ asked.A - change.P @ x - change.q
    chosen = answer.slot[:, None] == jnp.arange(rows + 2 * size, dtype=jnp.int32)
    sides = jnp.concatenate([shortened, change.lower, -change.upper])
    moved = jnp.sum(jnp.where(chosen, sides[None], 0), axis=1)

    dx = answer.response @ force + moved @ answer.shift
    slot_multiplier = answer.stiffness @ moved - answer.shift @ force
    stretched = asked.A @ dx
    multipliers = jnp.sum(jnp.where(chosen, slot_multiplier[:, None], 0), axis=0)
    multipliers = multipliers + jnp.concatenate(
        [pressed - weight * stretched, jnp.zeros(2 * size, x.dtype)]
    )
    inverse = _change_of_inverse(asked, answer, change, chosen, soft)
    return Answer(
        x=dx,
        slack=jnp.where(soft, shortened - stretched, 0),
        multipliers=multipliers,
        active=_none(answer.active),
        slot=_none(answer.slot),
        response=inverse[:size, :size],
        shift=inverse[size:, :size],
        stiffness=-inverse[size:, size:],
        outcome=_none(answer.outcome),
        iterations=_none(answer.iterations),
        residual=jnp.zeros_like(answer.residual),
    )


def _change_of_inverse(
    asked: QP, answer: Answer, change: QP, chosen: Array, soft: Array
) -> Float[Array, "m m"]:
    """Change of [[response, shift'], [shift, -stiffness]]: minus inverse, change, inverse."""
    size, rows = asked.q.shape[0], asked.b.shape[0]
    weight = jnp.where(soft, asked.weight, 0)
    bent = asked.A.T @ (weight[:, None] * change.A)
    matrix = change.P + bent + bent.T
    matrix = matrix + asked.A.T @ (jnp.where(soft, change.weight, 0)[:, None] * asked.A)
    normals = jnp.where(chosen[:, :rows], 1, 0).astype(matrix.dtype) @ change.A
    inverse = jnp.block([[answer.response, answer.shift.T], [answer.shift, -answer.stiffness]])
    changed = jnp.block([[matrix, normals.T], [normals, jnp.zeros((size, size), matrix.dtype)]])
    return -inverse @ changed @ inverse


def _none(value: Array) -> Any:  # noqa: ANN401 - what jax calls the tangent of an integer
    return np.zeros(value.shape, jax.dtypes.float0)
