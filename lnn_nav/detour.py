"""Detours: what the pilot asks of its policy when the way to the target does not open.

A policy that reacts to what it sees can come to a stand in front of something wide. When the
target has not come nearer for a while and is hidden, the pilot gives the policy another point
instead: behind the best opening that was seen of late; or, where none was (and every second time),
at the side, first where there is more room inside the bounds, then farther and farther to both
sides in turn, until an opening shows or the target's direction is open. The policy and the barrier
fly as always.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, no_type_check

import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Bool, Float

from lnn_nav.openings import OpeningShape, best_opening
from sim.sensors import RayPattern, Sight
from sim.state import inner, rotate, safe_norm, up_of

LEVEL = 0.95
"""Cosine of the tilt up to which openings are looked for."""


@dataclass(frozen=True)
class DetourShape:
    """When and where to.

    Attributes:
        patience: time without progress after which a detour begins [s].
        progress: the target has come nearer if by so much at the set speed [s].
        first: length of the first detour to a side [m].
        growth: every second one is longer by this [m].
        hidden: the target is hidden if something stands nearer than this in its direction [m].
        open: the direction is open again if nothing stands nearer than this [m].
        cone: cosine of the half angle that counts as a direction.
        recall: how long an opening is remembered [s].
        opening: what counts as one.
    """

    patience: float = 0.4
    progress: float = 0.1
    first: float = 4.5
    growth: float = 2.5
    hidden: float = 2.5
    open: float = 3.5
    cone: float = 0.985
    recall: float = 8.0
    opening: OpeningShape = OpeningShape()


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Detour:
    """The detour under way, or the patience left before one.

    Attributes:
        best: least distance to the target so far [m].
        waited: time since it last fell [s].
        active: a detour is under way.
        through: it leads through an opening.
        searching: it leads to a side because no opening was known.
        point: where it leads [m].
        left: time that it may still take [s].
        side: +1 for left, -1 for right, 0 before the first.
        count: detours begun from the same anchor.
        anchor: where the first of them began [m].
        axis: level unit vector to the left of the target's direction there.
        start: distance to the target there [m].
        gap: the point behind the opening that was seen last [m].
        gap_age: time since then [s].
    """

    best: Float[Array, ""]
    waited: Float[Array, ""]
    active: Bool[Array, ""]
    through: Bool[Array, ""]
    searching: Bool[Array, ""]
    point: Float[Array, " 3"]
    left: Float[Array, ""]
    side: Float[Array, ""]
    count: Float[Array, ""]
    anchor: Float[Array, " 3"]
    axis: Float[Array, " 3"]
    start: Float[Array, ""]
    gap: Float[Array, " 3"]
    gap_age: Float[Array, ""]


class _View(NamedTuple):
    """What a detour depends on, now."""

    position: Array
    distance: Array
    ahead: Array
    clear: Array
    found: Array
    speed: Array
    bounds: Array


def no_detour() -> Detour:
    """At the start of a flight, and of every leg."""
    zero, here = jnp.zeros((), jnp.float32), jnp.zeros(3, jnp.float32)
    far, no = jnp.asarray(1e6, jnp.float32), jnp.zeros((), bool)
    return Detour(
        far, zero, no, no, no, here, zero, zero, zero, here, here, far, gap=here, gap_age=far
    )


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
        pattern: the rays; the first ring is level.
        detour: so far.
        sight: with finite state and ranges.
        target: [m].
        speed: set speed [m/s].
        bounds: detours stay half a metre inside of them [m].
        dt: time since the last thought [s].
    """
    target = target.astype(jnp.float32)
    view, gap = _seen(shape, pattern, sight, target, speed, bounds)
    detour = replace(
        detour,
        gap=jnp.where(view.found, gap, detour.gap),
        gap_age=jnp.where(view.found, 0, detour.gap_age + dt).astype(jnp.float32),
    )
    nearer = view.distance < detour.best - shape.progress * view.speed
    waited = jnp.where(nearer | detour.active, 0, detour.waited + dt)
    hidden = view.clear < jnp.minimum(view.distance, shape.hidden)
    shows = detour.active & detour.searching & view.found
    begins = shows | (~detour.active & hidden & (waited > shape.patience))
    flown = _flown(shape, replace(detour, waited=waited), view, nearer, dt)
    begun = replace(_begun(shape, detour, view), best=flown.best, waited=flown.waited)
    after = Detour(
        **{
            name: jnp.where(begins, getattr(begun, name), value)
            for name, value in vars(flown).items()
        }
    )
    return after, jnp.where(after.active, after.point, target)


def _flown(
    shape: DetourShape, detour: Detour, view: _View, nearer: Bool[Array, ""], dt: Array
) -> Detour:
    """The detour under way, if any, a thought later: followed, or over."""
    # The estimate of an opening improves on the way to it.
    follows = detour.active & detour.through & view.found
    follows = follows & (safe_norm(detour.gap - detour.point) < 0.5)
    point = jnp.where(follows, detour.gap, detour.point)
    left = (detour.left - dt).astype(jnp.float32)
    arrived = safe_norm(point - view.position) < jnp.where(detour.through, 0.4, 0.7)
    opened = view.clear > jnp.minimum(view.distance, shape.open)
    over = detour.active & (opened | arrived | (left <= 0))
    # One to a side that found nothing is followed by the next at once.
    again = over & ~opened & ~(arrived & detour.through)
    return replace(
        detour,
        best=jnp.where(over | nearer, view.distance, detour.best),
        waited=jnp.where(again, 2 * shape.patience, detour.waited).astype(jnp.float32),
        active=detour.active & ~over,
        point=point,
        left=left,
    )


def _seen(
    shape: DetourShape,
    pattern: RayPattern,
    sight: Sight,
    target: Array,
    speed: Array,
    bounds: Array,
) -> tuple[_View, Float[Array, " 3"]]:
    """How open the target's direction is, and the point behind the best opening."""
    position = jnp.asarray(sight.state.position, jnp.float32)
    away = target - position
    distance = jnp.asarray(safe_norm(away))
    ahead = away / jnp.maximum(distance, 1e-3)
    quaternion = jnp.asarray(sight.state.quaternion, jnp.float32)
    rays = jnp.asarray(rotate(quaternion, jnp.asarray(pattern.directions, jnp.float32)))
    ranges = jnp.where(sight.valid, sight.ranges, pattern.max_range).astype(jnp.float32)
    near = inner(rays, ahead) > shape.cone
    clear = jnp.min(jnp.where(near, ranges, pattern.max_range))
    ring = slice(pattern.rings[0][1])
    gap, found = best_opening(shape.opening, ranges[ring], rays[ring, :2], away[:2])
    # A tilted ring sees floor and ceiling.
    found = found & (jnp.asarray(up_of(quaternion))[2] > LEVEL)
    through = position + jnp.concatenate([gap, jnp.zeros(1, gap.dtype)])
    view = _View(position, distance, ahead, clear, found, speed, bounds.astype(jnp.float32))
    return view, through


def _begun(shape: DetourShape, detour: Detour, view: _View) -> Detour:
    """The next detour: through an opening, or level across the target's direction."""
    level = jnp.stack([-view.ahead[1], view.ahead[0], jnp.zeros(())])
    left_hand = level / jnp.maximum(safe_norm(level), 1e-3)
    low, high = view.bounds[0] + 0.5, view.bounds[1] - 0.5
    room = [_room(view.position, hand, low, high) for hand in (left_hand, -left_hand)]
    open_side = jnp.where(room[0] >= room[1], 1.0, -1.0)
    # A metre nearer than where the last ones began: another obstacle, begin anew.
    anew = (detour.count == 0) | (view.distance < detour.start - 1)
    count = jnp.where(anew, 0, detour.count)
    anchor = jnp.where(anew, view.position, detour.anchor)
    axis = jnp.where(anew, left_hand, detour.axis)
    onwards = safe_norm(view.position + view.distance * view.ahead - detour.gap)
    known = (detour.gap_age < shape.recall) & (onwards < view.distance + shape.opening.back)
    # An opening that led nowhere must not be taken for ever.
    through = known & ((count % 2 == 0) | detour.searching)
    side = jnp.where(anew, open_side, jnp.where(through, detour.side, -detour.side))
    side = jnp.where(side == 0, open_side, side)
    length = shape.first + shape.growth * jnp.floor(count / 2)
    point = jnp.where(through, detour.gap, anchor + side * length * axis)
    point = jnp.clip(point, low, high)
    time = 1.0 + 1.5 * safe_norm(point - view.position) / jnp.maximum(view.speed, 0.1)
    return replace(
        detour,
        active=jnp.ones((), bool),
        through=through,
        searching=~known,
        point=point,
        left=time.astype(jnp.float32),
        side=side.astype(jnp.float32),
        count=(count + 1).astype(jnp.float32),
        anchor=anchor,
        axis=axis,
        start=jnp.where(anew, view.distance, detour.start),
    )


def _room(position: Array, direction: Array, low: Array, high: Array) -> Array:
    """Distance along a direction to the faces of a box [m]."""
    face = jnp.where(direction > 0, high, low)
    moves = jnp.abs(direction) > 1e-6
    reach = (face - position) / jnp.where(moves, direction, 1)
    return jnp.min(jnp.where(moves, reach, 1e6))
