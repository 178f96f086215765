"""Openings in what stands around: where two near returns have room between them.

Looks at one level ring of rays, as a laser scanner's. Two consecutive near returns with farther
ones between them are the edges of an opening (the discontinuities of the TangentBug planner,
Kamon, Rimon and Rivlin, IJRR 1998); one is good if it is wide enough, and better the shorter the
way through it to the target.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class OpeningShape:
    """What counts as an opening.

    Attributes:
        near: returns beyond this are no edges, for each of several looks [m].
        narrowest: least distance between its edges [m].
        widest: largest distance between them [m].
        past: the point to fly to lies this far beyond the middle [m].
        back: how much farther from the target than the drone it may lie [m].
    """

    near: tuple[float, ...] = (3.0, 5.0, 7.5)
    narrowest: float = 0.8
    widest: float = 3.0
    past: float = 0.6
    back: float = 1.6


def best_opening(
    shape: OpeningShape,
    ranges: Float[Array, " ring"],
    rays: Float[Array, "ring 2"],
    target: Float[Array, " 2"],
) -> tuple[Float[Array, " 2"], Bool[Array, ""]]:
    """The opening on the shortest way to the target, of those that do not lead back.

    Args:
        shape: what counts as one.
        ranges: of a ring of rays, counterclockwise [m].
        rays: level part of each ray's unit vector.
        target: relative to the drone, in the frame of the rays [m].

    Returns:
        The point just behind the opening, relative to the drone [m], and whether there is one.
    """
    count = ranges.shape[0]
    edges = ranges < jnp.asarray(shape.near, ranges.dtype)[:, None]
    span = _steps_to_next(edges)
    following = (np.arange(count) + span) % count
    # Component by component: on a CPU short reductions cost more to set up than they compute.
    x, y = ranges * rays[:, 0], ranges * rays[:, 1]
    across_x, across_y = x[following] - x, y[following] - y
    middle_x, middle_y = x + 0.5 * across_x, y + 0.5 * across_y
    width = _length(across_x, across_y)
    # Less than a half turn, so that it does not open to behind the drone.
    good = edges & (span > 1) & (span < 2 * count // 5)
    good = good & (width > shape.narrowest) & (width < shape.widest)
    onwards = _length(target[0] - middle_x, target[1] - middle_y)
    good = good & (onwards < _length(target[0], target[1]) + shape.back)
    way = jnp.where(good, _length(middle_x, middle_y) + onwards, jnp.inf).ravel()
    best = jnp.argmin(way)
    # Counterclockwise, so the far side is to the right of the way from edge to edge.
    past = shape.past / width
    points = (middle_x + past * across_y, middle_y - past * across_x)
    return jnp.stack([part.ravel()[best] for part in points]), jnp.isfinite(way[best])


def _length(x: Array, y: Array) -> Array:
    """Of plane vectors [m]; never zero."""
    return jnp.sqrt(x * x + y * y + 1e-6)


def _steps_to_next(edges: Bool[Array, "looks ring"]) -> Array:
    """How many rays on the next edge is, up to 32; more where there is none."""
    far = 1000
    steps = jnp.where(jnp.roll(edges, -1, axis=-1), 1, far)
    for reach in (1, 2, 4, 8, 16):
        steps = jnp.minimum(steps, reach + jnp.roll(steps, -reach, axis=-1))
    return steps
