"""One differentiable step from the loop's answer to the exact one, and the optimality check.

With the active set fixed, the conditions of optimality are linear in x and the multipliers, so one
Newton step in residual form is exact for every value of the problem's numbers. Differentiating
that step gives the implicit derivative of the answer by ordinary autodiff, to any order.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from barriernet._qp.active_set import ActiveSet
from barriernet._qp.dense import backward, factor, forward, solve
from barriernet._qp.scaling import ScaledQP


@struct.dataclass
class Polished:
    """Answer for a fixed active set.

    Attributes:
        x: the answer.
        multipliers: of all constraints (scaled), >= 0, 0 where inactive.
        active: all active constraints.
    """

    x: Float[Array, " n"]
    multipliers: Float[Array, " m"]
    active: Bool[Array, " m"]


def polish(problem: ScaledQP, found: ActiveSet) -> Polished:
    """Newton step on the conditions of optimality of the active set `found`."""
    size, rows, count = problem.q.shape[0], problem.soft.shape[0], problem.c.shape[0]
    weight, compliance, _ = problem.stiffness(found.relaxed)
    weight = jnp.where(found.soft_active, weight, 0)
    A, normals = problem.A, found.normals(problem.C)
    sides = jnp.where(found.used, problem.c[jnp.maximum(found.slot, 0)], 0)

    short = problem.c[:rows] - A @ found.x - compliance * found.soft_multiplier
    short = jnp.where(found.soft_active, short, 0)
    springs = found.soft_multiplier + weight * short
    pull = springs @ A + found.slot_multiplier @ normals - problem.P @ found.x - problem.q
    step = _solve_kkt(
        problem.P + (A * weight[:, None]).T @ A,
        normals,
        jnp.where(found.used, 0.0, 1.0).astype(problem.q.dtype),
        jnp.concatenate([pull, sides - normals @ found.x]),
    )
    soft = found.soft_multiplier + weight * (short - A @ step[:size])
    hard = found.slot_multiplier - step[size:]
    chosen = found.chosen(count)
    padding = count - rows
    multipliers = jnp.sum(jnp.where(chosen, hard[None, :], 0), axis=1) + jnp.concatenate(
        [jnp.where(found.soft_active, soft, 0), jnp.zeros(padding, soft.dtype)]
    )
    return Polished(
        x=found.x + step[:size],
        multipliers=jnp.where(multipliers > 0, multipliers, 0),
        active=jnp.any(chosen, axis=1)
        | jnp.concatenate([found.soft_active, jnp.zeros(padding, bool)]),
    )


def _solve_kkt(
    stiff: Float[Array, "n n"],
    normals: Float[Array, "n n"],
    idle: Float[Array, " n"],
    right: Float[Array, " 2*n"],
) -> Float[Array, " 2*n"]:
    """Solve [stiff normals'; normals -idle] (x, y) = right; its derivatives cost one solve more."""
    size = stiff.shape[0]
    chol = factor(jax.lax.stop_gradient(stiff))
    held = forward(chol, jax.lax.stop_gradient(normals).T)
    gram = factor(held.T @ held + jnp.diag(idle))

    def multiply(vector: Float[Array, " 2*n"]) -> Float[Array, " 2*n"]:
        x, y = vector[:size], vector[size:]
        return jnp.concatenate([stiff @ x + y @ normals, normals @ x - idle * y])

    def invert(_: Callable[[Array], Array], right: Float[Array, " 2*n"]) -> Float[Array, " 2*n"]:
        pulled = forward(chol, right[:size])
        y = solve(gram, held.T @ pulled - right[size:])
        return jnp.concatenate([backward(chol, pulled - held @ y), y])

    return jax.lax.custom_linear_solve(multiply, right, invert, symmetric=True)


def optimality_residual(
    problem: ScaledQP, relaxed: Bool[Array, ""], answer: Polished, rounding: float
) -> Float[Array, ""]:
    """Largest violation of the conditions of optimality, scaled by the terms that make it up.

    `rounding` times the size of the unconstrained minimum counts as zero violation of a row.
    """
    rows = problem.soft.shape[0]
    tiny = jnp.finfo(problem.q.dtype).tiny
    x, multipliers, C, c = answer.x, answer.multipliers, problem.C, problem.c
    _, compliance, soft = problem.stiffness(relaxed)
    force = problem.P @ x + problem.q - multipliers @ C
    terms = jnp.abs(problem.P) @ jnp.abs(x) + jnp.abs(problem.q) + multipliers @ jnp.abs(C)
    stationarity = jnp.max(jnp.abs(force)) / (jnp.max(terms) + tiny)

    give = jnp.where(soft, compliance, 0)
    give = jnp.concatenate([give, jnp.zeros(c.shape[0] - rows, c.dtype)])
    gap = c - C @ x - give * multipliers
    gap = jnp.where(answer.active, jnp.abs(gap), jnp.maximum(gap, 0))
    size = jnp.abs(c) + jnp.max(jnp.abs(x)) + rounding * problem.reach + tiny
    feasibility = jnp.max(jnp.where(problem.usable | answer.active, gap / size, 0))
    return jnp.maximum(stationarity, feasibility)
