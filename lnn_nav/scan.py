"""Obstacles remembered from rays: hit points of the last sights, and the few that matter now.

The barrier knows only this. A hit point stands for a ball: the surface around it that no ray has
sampled (the radius of the ray's cell of directions times the distance), plus what age and range
noise add. Rays start at the drone, and so does the path that the barrier guards: whatever hides
behind an obstacle is farther from that path than the obstacle's own visible edge. So hit points,
and a limit to the distance that has been scanned at all, cover all space that was never seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import no_type_check

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Bool, Float, Int

from barriernet.backup import Braking, Motion, distance_to_path
from sim.sensors import RayFan, Sight, sphere_points
from sim.state import AnyArray, rotate

NOTHING = -1e3
"""Radius of a ball that is not there [m]."""

LONG_AGO = 1e3
"""Age of what was never seen [s]."""

BLIND = 0.5
"""How far it is taken to be free in a direction that was never seen [m]."""


@dataclass(frozen=True)
class ScanShape:
    """How much is remembered.

    Attributes:
        pattern: the rays, any fan.
        sights: how many sights are kept.
        patches: how many patches the directions are cut into; each offers its most pressing ball.
        gap_share: share of a ray's cell that counts as occupied around a hit.
        ageing: growth of a ball [m/s].
        range_noise: declared standard deviation of a range, as a fraction of it; twice counts.
        patience: a ray that returned nothing for longer is blind [s]: space ends where it last
            ended. With half of them blind, nothing counts as scanned.
    """

    pattern: RayFan
    sights: int = 6
    patches: int = 64
    gap_share: float = 1.0
    ageing: float = 0.02
    range_noise: float = 0.0
    patience: float = 0.25

    @cached_property
    def patch_rays(self) -> Int[np.ndarray, "patches width"]:
        """Rays of each patch; shorter patches repeat a ray."""
        centres = sphere_points(self.patches)
        owner = (self.pattern.directions @ centres.T).argmax(axis=1)
        groups = [np.flatnonzero(owner == patch) for patch in range(self.patches)]
        groups = [group for group in groups if group.size]
        width = max(group.size for group in groups)
        return np.stack([np.resize(group, width) for group in groups])


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Scan:
    """Hit points of the last sights.

    Attributes:
        points: [m], world frame, `[sights, rays, 3]`.
        radii: of the ball around each point [m], negative for nothing, `[sights, rays]`.
        age: time since each ray returned anything [s].
        origin: where the newest sight was taken [m].
        reach: how far from there space has been scanned [m]; 0 before the first sight, and blind.
        cursor: which sight is overwritten next.
    """

    points: Float[Array, "sights rays 3"]
    radii: Float[Array, "sights rays"]
    age: Float[Array, " rays"]
    origin: Float[Array, " 3"]
    reach: Float[Array, ""]
    cursor: Int[Array, ""]


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Near:
    """The balls that matter until the next sight.

    Attributes:
        centres: [m], world frame, `[patches, 3]`.
        radii: [m], negative for nothing, `[patches]`.
        origin: centre of the scanned space [m].
        reach: its radius [m].
    """

    centres: Float[Array, "patches 3"]
    radii: Float[Array, " patches"]
    origin: Float[Array, " 3"]
    reach: Float[Array, ""]


def blank_scan(
    shape: ScanShape, position: Float[AnyArray, " 3"], dtype: DTypeLike = jnp.float32
) -> Scan:
    """Nothing scanned yet, seen from `position`."""
    size = (shape.sights, shape.pattern.count)
    origin = jnp.asarray(position, dtype)
    return Scan(
        points=jnp.broadcast_to(origin, (*size, 3)),
        radii=jnp.full(size, NOTHING, dtype),
        age=jnp.full(size[1:], LONG_AGO, dtype),
        origin=origin,
        reach=jnp.zeros((), dtype),
        cursor=jnp.zeros((), jnp.int32),
    )


def remember(shape: ScanShape, scan: Scan, sight: Sight, dt: Array | float) -> Scan:
    """Put a sight in the place of the oldest one; a lost ray keeps what it saw last.

    Args:
        shape: how much is remembered.
        scan: so far.
        sight: with finite ranges where valid.
        dt: time since the last sight [s]; all balls grow by it.
    """
    dtype = scan.points.dtype
    ranges = sight.ranges.astype(dtype)
    directions = jnp.asarray(shape.pattern.directions, dtype)
    world = rotate(sight.state.quaternion.astype(dtype), directions)
    origin = sight.state.position.astype(dtype)
    hit = sight.valid & (ranges < shape.pattern.max_range)
    cell = jnp.asarray(shape.pattern.cell_radius, dtype)
    radii = ranges * (shape.gap_share * cell + 2 * shape.range_noise)
    age = jnp.where(sight.valid, 0, scan.age + jnp.asarray(dt, dtype))
    scanned = jnp.mean((age <= shape.patience).astype(dtype)) >= 0.5
    aged = scan.radii + jnp.asarray(dt, dtype) * shape.ageing
    last = (scan.cursor - 1) % shape.sights
    # What a blind ray knew to be free ends where it last ended; if it never saw, right here.
    never = age >= LONG_AGO
    ends = jnp.where(never[:, None], origin + BLIND * world, scan.points[last])
    reached = jnp.where(never, BLIND, shape.pattern.max_range) * shape.gap_share * cell
    ended = (age > shape.patience) & (never | (aged[last] < 0))
    lost = jnp.where(ended, reached, aged[last])
    points = jnp.where(sight.valid[:, None], origin + ranges[:, None] * world, ends)
    radii = jnp.where(sight.valid, jnp.where(hit, radii, NOTHING), lost)
    return Scan(
        points=scan.points.at[scan.cursor].set(points),
        radii=aged.at[scan.cursor].set(radii),
        age=age,
        origin=jnp.where(jnp.any(sight.valid), origin, scan.origin),
        reach=jnp.where(scanned, jnp.asarray(shape.pattern.max_range, dtype), 0),
        cursor=(scan.cursor + 1) % shape.sights,
    )


def nearest(shape: ScanShape, scan: Scan, braking: Braking, motion: Motion) -> Near:
    """The most pressing ball of each patch of directions: least clearance from the stopping path.

    Args:
        shape: how much is remembered.
        scan: hit points.
        braking: what the backup may count on.
        motion: of the drone, in the dtype of the scan.
    """
    patches = jnp.asarray(shape.patch_rays)
    clearance = distance_to_path(braking, motion, scan.points) - scan.radii
    # First over the sights, then over the rays of a patch: a sixth of the gathering.
    first, least = jnp.argmin(clearance, axis=0), jnp.min(clearance, axis=0)
    place = jnp.argmin(least[patches], axis=1)
    ray = patches[jnp.arange(patches.shape[0]), place]
    sight = first[ray]
    return Near(
        centres=scan.points[sight, ray],
        radii=scan.radii[sight, ray],
        origin=scan.origin,
        reach=scan.reach,
    )


def finite(sight: Sight) -> tuple[Sight, Bool[Array, ""]]:
    """The sight with non-finite or negative ranges marked as lost, and whether any was."""
    good = jnp.isfinite(sight.ranges) & (sight.ranges >= 0)
    mended = replace(sight, ranges=jnp.where(good, sight.ranges, 0), valid=sight.valid & good)
    return mended, jnp.any(sight.valid & ~good)
