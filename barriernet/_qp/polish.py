"""One step from the loop's answer to the exact one, and the optimality check.

With the active set fixed, the conditions of optimality are linear in x and the multipliers, so one
Newton step in residual form is exact.
"""

from __future__ import annotations

from typing import no_type_check

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from barriernet._qp.active_set import ActiveSet
from barriernet._qp.bases import Bases
from barriernet._qp.scaling import ScaledQP


@no_type_check
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


@no_type_check
@struct.dataclass
class Conditions:
    """The conditions of optimality of an active set, as a symmetric linear system.

    P x + A'y + normals'z, A x - give y and normals x - idle z, where -y and -z are multipliers.
    Inactive rows are zeros with give 1, free slots zeros with idle 1.
    """

    P: Float[Array, "n n"]
    A: Float[Array, "K n"]
    give: Float[Array, " K"]
    normals: Float[Array, "n n"]
    idle: Float[Array, " n"]

    def multiply(self, vector: Float[Array, " m"]) -> Float[Array, " m"]:
        """The system times (x, y, z), one after the other."""
        x, y, z = self._split(vector)
        return jnp.concatenate(
            [
                self.P @ x + y @ self.A + z @ self.normals,
                self.A @ x - self.give * y,
                self.normals @ x - self.idle * z,
            ]
        )

    def solve(self, bases: Bases, right: Float[Array, " m"]) -> tuple[Array, ...]:
        """The x, y and z that give `right`.

        The rows are eliminated in factored form, so weights of any size cost no digits.
        """
        white, stretched, held, inner = bases

        def once(right: Float[Array, " m"]) -> Float[Array, " m"]:
            force, short, off = self._split(right)
            pulled = force @ white + short @ stretched
            z = inner @ ((pulled @ held - off) @ inner)
            pulled = pulled - held @ z
            y = stretched @ pulled - short / self.give
            return jnp.concatenate([white @ pulled, y, z])

        first = once(right)
        if self.P.dtype != jnp.float64:
            first = first + once(right - self.multiply(first))
        return self._split(first)

    def _split(self, vector: Float[Array, " m"]) -> tuple[Array, ...]:
        size, rows = self.A.shape[1], self.A.shape[0]
        return vector[:size], vector[size : size + rows], vector[size + rows :]


def polish(problem: ScaledQP, found: ActiveSet) -> Polished:
    """Newton step on the conditions of optimality of the active set `found`."""
    rows, count = problem.soft.shape[0], problem.c.shape[0]
    _, compliance, _ = problem.stiffness(found.relaxed)
    A, normals = problem.A, found.normals(problem.C)
    sides = jnp.where(found.used, problem.c[jnp.maximum(found.slot, 0)], 0)

    short = problem.c[:rows] - A @ found.x - compliance * found.soft_multiplier
    pull = found.soft_multiplier @ A + found.slot_multiplier @ normals
    system = Conditions(
        P=problem.P,
        A=jnp.where(found.soft_active[:, None], A, 0),
        give=jnp.where(found.soft_active, compliance, 1),
        normals=normals,
        idle=jnp.where(found.used, 0.0, 1.0).astype(problem.q.dtype),
    )
    moved, soft_change, hard_change = system.solve(
        found.bases,
        jnp.concatenate(
            [
                pull - problem.P @ found.x - problem.q,
                jnp.where(found.soft_active, short, 0),
                sides - normals @ found.x,
            ]
        ),
    )
    soft = found.soft_multiplier - soft_change
    hard = found.slot_multiplier - hard_change
    chosen = found.chosen(count)
    padding = count - rows
    multipliers = jnp.sum(jnp.where(chosen, hard[None, :], 0), axis=1) + jnp.concatenate(
        [jnp.where(found.soft_active, soft, 0), jnp.zeros(padding, soft.dtype)]
    )
    return Polished(
        x=found.x + moved,
        multipliers=jnp.where(multipliers > 0, multipliers, 0),
        active=jnp.any(chosen, axis=1)
        | jnp.concatenate([found.soft_active, jnp.zeros(padding, bool)]),
    )


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
