"""One differentiable step from the loop's answer to the exact one, and the optimality check.

With the active set fixed, the optimality conditions are linear in x and the multipliers, so one
Newton step in residual form is exact for every value of the problem's numbers. Differentiating
that step gives the implicit derivative of the answer, by ordinary autodiff, to any order.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from barriernet._qp.active_set import NONE, ActiveSet, Constraints, effective, slot_normals
from barriernet._qp.dense import backward, factor, forward, solve


@struct.dataclass
class Polished:
    """Answer for a fixed active set.

    Attributes:
        x: the answer.
        row_multiplier: multipliers of the soft rows (scaled), 0 where inactive.
        multipliers: multipliers of all constraints (scaled), >= 0.
        active: all active constraints.
    """

    x: Float[Array, " n"]
    multipliers: Float[Array, " m"]
    active: Bool[Array, " m"]


def polish(
    P: Float[Array, "n n"],
    q: Float[Array, " n"],
    constraints: Constraints,
    found: ActiveSet,
) -> Polished:
    """Newton step on the conditions of optimality of the active set `found`."""
    size, rows = q.shape[0], constraints.weight.shape[0]
    weight, compliance, _ = effective(constraints, found.relaxed)
    A = constraints.C[:rows]
    weight = jnp.where(found.soft_active, weight, 0)
    used = found.slot != NONE
    normals = slot_normals(constraints.C, found.slot)
    held_at = jnp.where(used, constraints.c[jnp.maximum(found.slot, 0)], 0)
    stiff = P + (A * weight[:, None]).T @ A
    idle = jnp.where(used, 0.0, 1.0).astype(q.dtype)

    lacking = jnp.where(
        found.soft_active,
        constraints.c[:rows] - A @ found.x - compliance * found.soft_multiplier,
        0,
    )
    pull = found.soft_multiplier @ A + found.slot_multiplier @ normals - P @ found.x - q
    right = jnp.concatenate([pull + (weight * lacking) @ A, held_at - normals @ found.x])

    def multiply(vector: Float[Array, " 2*n"]) -> Float[Array, " 2*n"]:
        x, y = vector[:size], vector[size:]
        return jnp.concatenate([stiff @ x + y @ normals, normals @ x - idle * y])

    frozen = jax.lax.stop_gradient((stiff, normals))
    chol = factor(frozen[0])
    held = forward(chol, frozen[1].T)
    gram = factor(held.T @ held + jnp.diag(idle))

    def once(right: Float[Array, " 2*n"]) -> Float[Array, " 2*n"]:
        pulled = forward(chol, right[:size])
        y = solve(gram, held.T @ pulled - right[size:])
        return jnp.concatenate([backward(chol, pulled - held @ y), y])

    def refined(
        apply: Callable[[Array], Array], right: Float[Array, " 2*n"]
    ) -> Float[Array, " 2*n"]:
        first = once(right)
        return first + once(right - apply(first))

    step = jax.lax.custom_linear_solve(multiply, right, refined, symmetric=True)
    moved = step[:size]
    soft = found.soft_multiplier + weight * (lacking - A @ moved)
    hard = found.slot_multiplier - step[size:]
    index = jnp.arange(constraints.c.shape[0])
    chosen = used[None, :] & (found.slot[None, :] == index[:, None])
    multipliers = jnp.sum(jnp.where(chosen, hard[None, :], 0), axis=1)
    multipliers = multipliers.at[:rows].add(jnp.where(found.soft_active, soft, 0))
    active = (
        jnp.any(chosen, axis=1).at[:rows].set(found.soft_active | jnp.any(chosen[:rows], axis=1))
    )
    return Polished(
        x=found.x + moved, multipliers=jnp.where(multipliers > 0, multipliers, 0), active=active
    )


def optimality_residual(
    P: Float[Array, "n n"],
    q: Float[Array, " n"],
    constraints: Constraints,
    relaxed: Bool[Array, ""],
    answer: Polished,
    noise: Float[Array, ""],
) -> Float[Array, ""]:
    """Largest violation of the conditions of optimality, scaled by the terms that make it up.

    `noise` is an absolute violation of rows and bounds that counts as rounding.
    """
    rows = constraints.weight.shape[0]
    tiny = jnp.finfo(q.dtype).tiny
    x, multipliers = answer.x, answer.multipliers
    _, compliance, soft = effective(constraints, relaxed)
    force = P @ x + q - multipliers @ constraints.C
    terms = jnp.abs(P) @ jnp.abs(x) + jnp.abs(q) + multipliers @ jnp.abs(constraints.C)
    stationarity = jnp.max(jnp.abs(force)) / (jnp.max(terms) + tiny)

    give = jnp.concatenate(
        [jnp.where(soft, compliance, 0), jnp.zeros(constraints.c.shape[0] - rows, q.dtype)]
    )
    gap = constraints.c - constraints.C @ x - give * multipliers
    gap = jnp.where(answer.active, jnp.abs(gap), jnp.maximum(gap, 0))
    size = jnp.abs(constraints.c) + jnp.abs(constraints.C) @ jnp.abs(x) + noise + tiny
    feasibility = jnp.max(jnp.where(constraints.usable, gap / size, 0))
    return jnp.maximum(stationarity, feasibility)
