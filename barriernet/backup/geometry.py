"""Small vectors and segments, spelled out for speed, with finite derivatives everywhere."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

EPSILON = 1e-9
"""Lengths below this have no direction [m]."""

SQUARE = 1e-28
"""A segment whose squared length is less counts as a point [m^2]."""


@jax.custom_jvp
def dot(a: Array, b: Array) -> Array:
    """Inner product along the last, short axis, spelled out: a reduction costs more on a CPU."""
    return sum((a[..., i] * b[..., i] for i in range(1, a.shape[-1])), a[..., 0] * b[..., 0])


@dot.defjvp
def _dot_jvp(at: tuple[Array, Array], along: tuple[Array, Array]) -> tuple[Array, Array]:
    """As a sum again: gradients through its components take half as long again."""
    (a, b), (da, db) = at, along
    return dot(a, b), jnp.sum(da * b + a * db, axis=-1)


def norm(vector: Array) -> Array:
    """Euclidean length with a zero gradient at zero."""
    square = dot(vector, vector)
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def direction(vector: Array, otherwise: Array) -> tuple[Array, Array]:
    """Unit vector and length; `otherwise` where there is no direction. Finite gradients."""
    length = norm(vector)
    none = length < EPSILON
    unit = vector / jnp.where(none, 1, length)[..., None]
    return jnp.where(none[..., None], otherwise, unit), length


def share_of_segment(points: Array, start: Array, along: Array) -> Array:
    """Where on the segment from `start` to `start + along` each point is nearest, in [0, 1]."""
    share = dot(points - start, along) / jnp.maximum(dot(along, along), SQUARE)
    return jnp.clip(share, 0, 1)


def away_from_points(points: Array, start: Array, along: Array) -> tuple[Array, Array, Array]:
    """From each point to a segment: unit vector, distance, and the share of the nearest point.

    Seen from its nearest point a segment never turns back towards the point. The direction is
    made to say so to the last digit (at right angles to the segment between its ends), however
    small the distance that it was computed from.
    """
    share = share_of_segment(points, start, along)
    apart = start + share[..., None] * along - points
    # A point on the segment itself: away from it means back to where the segment starts.
    backwards, _ = direction(start - points, jnp.zeros_like(points))
    away, distance = direction(apart, backwards)
    tangent = along / jnp.sqrt(jnp.maximum(dot(along, along), SQUARE))[..., None]
    slant = dot(away, tangent)
    least, most = jnp.where(share >= 1, -jnp.inf, 0.0), jnp.where(share <= 0, jnp.inf, 0.0)
    excess = jnp.where(distance < EPSILON, 0, slant - jnp.clip(slant, least, most))
    return away - excess[..., None] * tangent, distance, share
