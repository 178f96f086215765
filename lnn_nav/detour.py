"""Detours: what the pilot asks of its policy when the way to the target does not open.

A policy that reacts to what it sees can wander to and fro in front of something wide. When the
target has not come nearer for a while and is hidden, the pilot gives the policy a point at the
side instead, first on the side with more room inside the bounds, then farther and farther to both
sides in turn, until the target's direction is open. The policy and the barrier fly as always.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import no_type_check

import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Bool, Float

from sim.sensors import RayPattern, Sight
from sim.state import rotate, safe_norm


@dataclass(frozen=True)
class DetourShape:
    """When and where to.

    Attributes:
        patience: time without progress after which a detour begins [s].
        progress: by which the target has to come nearer to count [m].
        first: length of the first detour [m].
        growth: every second one is longer by this [m].
        hidden: the target is hidden if something stands nearer than this in its direction [m].
        open: the direction is open again if nothing stands nearer than this [m].
        cone: cosine of the half angle that counts as a direction.
    """

    patience: float = 1.2
    progress: float = 0.2
    first: float = 4.5
    growth: float = 2.5
    hidden: float = 2.5
    open: float = 3.5
    cone: float = 0.985


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Detour:
    """The detour under way, or the patience left before one.

    Attributes:
        best: least distance to the target so far [m].
        waited: time since it last fell [s].
        active: a detour is under way.
        point: where it leads [m].
        left: time that it may still take [s].
        side: +1 for left, -1 for right, 0 before the first.
        count: detours begun from the same anchor.
        anchor: where the first of them began [m].
        axis: level unit vector to the left of the target's direction there.
        start: distance to the target there [m].
    """

    best: Float[Array, ""]
    waited: Float[Array, ""]
    active: Bool[Array, ""]
    point: Float[Array, " 3"]
    left: Float[Array, ""]
    side: Float[Array, ""]
    count: Float[Array, ""]
    anchor: Float[Array, " 3"]
    axis: Float[Array, " 3"]
    start: Float[Array, ""]


def no_detour() -> Detour:
    """At the start of a flight, and of every leg."""
    zero = jnp.zeros((), jnp.float32)
    far = jnp.asarray(1e6, jnp.float32)
    here = jnp.zeros(3, jnp.float32)
    return Detour(far, zero, jnp.zeros((), bool), here, zero, zero, zero, here, here, far)


def aim(
    shape: DetourShape,
    pattern: RayPattern,
    detour: Detour,
    sight: Sight,
    target: Float[Array, " 3"],
    speed: Float[Array, ""],
    bounds: Float[Array, "2 3"],
    dt: Array,
) -> tuple[Detour, Float[Array, " 3"]]:
    """Where the policy should head now: the target, or the point of a detour.

    Args:
        shape: when and where to.
        pattern: the rays.
        detour: so far.
        sight: with finite state and ranges.
        target: [m].
        speed: set speed [m/s].
        bounds: detours stay half a metre inside of them [m].
        dt: time since the last thought [s].
    """
    position = jnp.asarray(sight.state.position, jnp.float32)
    target, bounds = target.astype(jnp.float32), bounds.astype(jnp.float32)
    away = target - position
    distance = jnp.asarray(safe_norm(away))
    ahead = away / jnp.maximum(distance, 1e-3)
    quaternion = jnp.asarray(sight.state.quaternion, jnp.float32)
    rays = jnp.asarray(rotate(quaternion, jnp.asarray(pattern.directions, jnp.float32)))
    ranges = jnp.where(sight.valid, sight.ranges, pattern.max_range).astype(jnp.float32)
    seen = jnp.sum(rays * ahead, axis=-1)
    clear = jnp.min(jnp.where(seen > shape.cone, ranges, pattern.max_range))
    hidden = clear < jnp.minimum(distance, shape.hidden)
    nearer = distance < detour.best - shape.progress
    waited = jnp.where(nearer | detour.active, 0, detour.waited + dt)
    begins = ~detour.active & hidden & (waited > shape.patience)
    fresh = _begun(shape, detour, position, distance, ahead, speed, bounds)
    left = detour.left - dt
    arrived = safe_norm(detour.point - position) < 0.7
    opened = clear > jnp.minimum(distance, shape.open)
    over = detour.active & (opened | arrived | (left <= 0))
    # One that found nothing is followed by the next at once.
    waited = jnp.where(over & ~opened, 2 * shape.patience, waited)
    active = begins | (detour.active & ~over)
    after = Detour(
        best=jnp.where(over, distance, jnp.where(nearer, distance, detour.best)),
        waited=waited.astype(jnp.float32),
        active=active,
        point=jnp.where(begins, fresh.point, detour.point),
        left=jnp.where(begins, fresh.left, left).astype(jnp.float32),
        side=jnp.where(begins, fresh.side, detour.side),
        count=jnp.where(begins, fresh.count, detour.count),
        anchor=jnp.where(begins, fresh.anchor, detour.anchor),
        axis=jnp.where(begins, fresh.axis, detour.axis),
        start=jnp.where(begins, fresh.start, detour.start),
    )
    return after, jnp.where(active, after.point, target)


def _begun(
    shape: DetourShape,
    detour: Detour,
    position: Array,
    distance: Array,
    ahead: Array,
    speed: Array,
    bounds: Array,
) -> Detour:
    """The next detour: level, across the direction of the target, measured from the anchor."""
    level = jnp.stack([-ahead[1], ahead[0], jnp.zeros(())])
    left_hand = level / jnp.maximum(safe_norm(level), 1e-3)
    low, high = bounds[0] + 0.5, bounds[1] - 0.5
    room = [_room(position, hand, low, high) for hand in (left_hand, -left_hand)]
    open_side = jnp.where(room[0] >= room[1], 1.0, -1.0)
    # A metre nearer than where the last ones began: another obstacle, begin anew.
    anew = (detour.count == 0) | (distance < detour.start - 1)
    count = jnp.where(anew, 0, detour.count)
    anchor = jnp.where(anew, position, detour.anchor)
    axis = jnp.where(anew, left_hand, detour.axis)
    side = jnp.where(anew, open_side, -detour.side)
    length = shape.first + shape.growth * jnp.floor(count / 2)
    point = jnp.clip(anchor + side * length * axis, low, high)
    time = 1.0 + 1.5 * safe_norm(point - position) / jnp.maximum(speed, 0.1)
    return replace(
        detour,
        point=point,
        left=time,
        side=side.astype(jnp.float32),
        count=(count + 1).astype(jnp.float32),
        anchor=anchor,
        axis=axis,
        start=jnp.where(anew, distance, detour.start),
    )


def _room(position: Array, direction: Array, low: Array, high: Array) -> Array:
    """Distance along a direction to the faces of a box [m]."""
    face = jnp.where(direction > 0, high, low)
    moves = jnp.abs(direction) > 1e-6
    reach = (face - position) / jnp.where(moves, direction, 1)
    return jnp.min(jnp.where(moves, reach, 1e6))
