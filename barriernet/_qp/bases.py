"""Orthonormal bases that belong to an active set: every solve with it is a product or two."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from barriernet._qp.dense import orthonormal
from barriernet._qp.scaling import ScaledQP


class Bases(NamedTuple):
    """What an active set makes of the space of x.

    Attributes:
        white: T with T'M T = 1, where M is the cost matrix and the active soft rows' a a' weight.
        stretched: weight A T, worked out without the digits that this product loses on stiff rows.
        held: (normals T)', of the constraints in the slots.
        inner: S with S S' = inverse of held'held (with ones on the diagonal for free slots).
    """

    white: Float[Array, "n n"]
    stretched: Float[Array, "K n"]
    held: Float[Array, "n n"]
    inner: Float[Array, "n n"]


def bases(
    problem: ScaledQP,
    weight: Float[Array, " K"],
    normals: Float[Array, "n n"],
    used: Bool[Array, " n"],
) -> Bases:
    """The bases of an active set.

    Args:
        problem: whose it is.
        weight: of its soft rows, 0 for others.
        normals: of the constraints in the slots, zeros where free.
        used: which slots hold one.
    """
    size, root = problem.q.shape[0], jnp.sqrt(weight)[:, None]
    white, basis = orthonormal(jnp.concatenate([problem.root, problem.A * root]))
    held = (normals @ white).T
    idle = jnp.where(used, 0.0, 1.0).astype(white.dtype)
    inner, _ = orthonormal(jnp.concatenate([held, jnp.diag(idle)]))
    return Bases(white, root * basis[size:], held, inner)


def no_bases(problem: ScaledQP) -> Bases:
    """Those of the cost alone."""
    eye = jnp.eye(problem.q.shape[0], dtype=problem.q.dtype)
    return Bases(problem.white, jnp.zeros_like(problem.A), 0 * eye, eye)
