"""The sampled rows of the braking path: two for each obstacle, and the backup meets them all.

The path swept by the backup is

    p -> y              reaction: the segment v tau;
    y -> s(y, z)        braking with deceleration a along -z, s = y + z (|z| + a dt) / (2 a);
    s                   held (see `anchored`).

The barrier of an obstacle is its distance from the path minus a tube radius. Its rows are the
sampled condition h(x+) >= (1 - alpha dt) h(x), linear in the control, written so that the backup
satisfies all of them at every safe state, whatever the number of obstacles: see `path_rows`.
The term a dt in s makes that exact in sampled time (a body that brakes for a whole tick from
|z| < a dt would run backwards; a partial tick stops within s). What the rows promise of other
controls is exact to first order in u - u_backup; `draw_back` makes it exact.

Backup barriers: Gurriet et al. 2018; Singletary et al., arXiv 2201.04331. Sampled condition:
Agrawal and Sreenath, RSS 2017.
"""

from __future__ import annotations

from typing import TypeAlias, no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Float

from barriernet.backup.approach import approach_row
from barriernet.backup.braking import Braking, Motion, stopping_time
from barriernet.backup.geometry import away_from_points, direction, dot, norm

Row: TypeAlias = tuple[Array, Array, Array]
"""Normal, bound and lever of one row for each obstacle."""


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class PathRows:
    """Rows A u >= b of the sampled barriers, two for each obstacle.

    Attributes:
        matrix: A, unit rows, `[2 K, n]`.
        bound: b [m/s^2], `[2 K]`.
        barrier: h of each obstacle [m], `[K]`.
        lever: dh(x+)/d(row) [s^2], `[2 K]`: lever (A u - b) is, to first order, the metres by which
            h(x+) exceeds (1 - alpha dt) h(x). At least dt^2 / 2.
    """

    matrix: Float[Array, "*batch rows n"]
    bound: Float[Array, "*batch rows"]
    barrier: Float[Array, "*batch obstacles"]
    lever: Float[Array, "*batch rows"]


def path_barrier(
    braking: Braking,
    motion: Motion,
    centres: Float[Array, "*batch obstacles n"],
    radii: Float[Array, "*batch obstacles"],
) -> Float[Array, "*batch obstacles"]:
    """H of each ball [m]: distance of its centre from the braking path, minus `radii`."""
    along = motion.velocity * stopping_time(braking, motion)[..., None]
    _, distance, _ = away_from_points(centres, motion.point[..., None, :], along[..., None, :])
    return distance - radii


def path_rows(
    braking: Braking,
    motion: Motion,
    centres: Float[Array, "*batch obstacles n"],
    radii: Float[Array, "*batch obstacles"],
    rate: Float[Array, "*batch"],
) -> PathRows:
    """Rows that keep the path clear of balls (radius + tube in `radii`).

    With n the unit normal from the obstacle to the nearest point of the braking path, every point
    of the next path is at least n.(point - centre) away, and that is least at one of the two ends:
    hence two rows an obstacle, one for the stop point and one for the virtual point.

    Args:
        braking: what the backup may count on.
        motion: the body.
        centres: of the obstacles [m].
        radii: of the obstacles plus the tube [m].
        rate: alpha, class-K gain [1/s], positive, below 1 / tick.

    Returns:
        Two rows an obstacle: all stop-point rows, then all virtual-point rows.
    """
    start, time = motion.point[..., None, :], stopping_time(braking, motion)[..., None]
    along = motion.velocity[..., None, :] * time[..., None]
    away, distance, share = away_from_points(centres, start, along)
    barrier = distance - radii
    sunk = barrier < -braking.inner
    first, second = _plane_rows(braking, motion, away, share * time, barrier, rate)

    def halted(second: Row) -> Row:
        near, apart = direction(start - centres, away)
        halt = _halting_row(braking, motion, near, apart - radii + braking.inner, rate)
        return (
            jnp.where(sunk[..., None], halt[0], second[0]),
            jnp.where(sunk, halt[1], second[1]),
            jnp.where(sunk, halt[2], second[2]),
        )

    # A path that has sunk into the tube is about to hit: stop short of the obstacle first.
    second = jax.lax.cond(jnp.any(sunk), halted, lambda second: second, second)
    return _stacked(first, second, barrier)


def plane_rows(
    braking: Braking,
    motion: Motion,
    normals: Float[Array, "*batch planes n"],
    offsets: Float[Array, "*batch planes"],
    rate: Float[Array, "*batch"],
) -> PathRows:
    """Rows that keep the path inside half-spaces normal . x >= offset.

    Args:
        braking: what the backup may count on.
        motion: the body.
        normals: unit vectors into the allowed side.
        offsets: [m], the margin included.
        rate: alpha, class-K gain [1/s].

    Returns:
        Two rows a plane, as `path_rows`.
    """
    leaving = dot(normals, motion.velocity[..., None, :])
    # The nearest point of the path is one of its ends.
    nearest = jnp.where(leaving < 0, stopping_time(braking, motion)[..., None], 0)
    barrier = dot(normals, motion.point[..., None, :]) + leaving * nearest - offsets
    return _stacked(*_plane_rows(braking, motion, normals, nearest, barrier, rate), barrier)


def join_rows(*parts: PathRows) -> PathRows:
    """All rows of all parts."""
    return PathRows(
        matrix=jnp.concatenate([part.matrix for part in parts], axis=-2),
        bound=jnp.concatenate([part.bound for part in parts], axis=-1),
        barrier=jnp.concatenate([part.barrier for part in parts], axis=-1),
        lever=jnp.concatenate([part.lever for part in parts], axis=-1),
    )


def _plane_rows(
    braking: Braking, motion: Motion, normal: Array, nearest: Array, barrier: Array, rate: Array
) -> tuple[Row, Row]:
    """The stop-point row and the virtual-point row of each separating plane.

    Places on the line of the path are told by when the virtual velocity passes them: what the
    backup leaves of the barrier is then one product, and exact even where it is zero.
    """
    dt = braking.tick
    leaving = dot(normal, motion.velocity[..., None, :])
    after = _braked_time(braking, motion)[..., None]
    # Braking, it never comes nearer than its path is: a product below zero is rounding.
    room = jnp.maximum(leaving * (after - nearest), 0) + rate[..., None] * dt * barrier
    stop = approach_row(braking, motion, normal, room, room / dt)
    bound = (-2 / dt * room - leaving) / dt
    return stop, (normal, bound, jnp.full_like(bound, dt * dt / 2))


def _halting_row(braking: Braking, motion: Motion, normal: Array, depth: Array, rate: Array) -> Row:
    """Stop short of the plane, or leave it at `rate` times the depth when already beyond it."""
    leaving = dot(normal, motion.velocity[..., None, :])
    room = leaving * _braked_time(braking, motion)[..., None] + depth
    return approach_row(braking, motion, normal, room, rate[..., None] * room)


def _braked_time(braking: Braking, motion: Motion) -> Array:
    """When the virtual velocity would pass the point that the backup reaches in one tick [s]."""
    dt = braking.tick
    braked = jnp.maximum(norm(motion.velocity) / braking.deceleration, dt)
    return dt - dt * dt / (2 * braked)


def _stacked(first: Row, second: Row, barrier: Array) -> PathRows:
    """Both rows of all obstacles, one after the other."""
    return PathRows(
        matrix=jnp.concatenate([first[0], second[0]], axis=-2),
        bound=jnp.concatenate([first[1], second[1]], axis=-1),
        barrier=barrier,
        lever=jnp.concatenate([first[2], second[2]], axis=-1),
    )
