"""Barriers built on a backup control, for bodies that can always brake: react, brake, hold.

The body is a double integrator of any dimension whose commanded acceleration u arrives through a
first-order lag tau: a' = (u - a) / tau. Its *virtual point* y = p + tau v and *virtual velocity*
z = v + tau a move as an exact double integrator, y' = z, z' = u, and p follows y without ever
leaving the convex hull of where y has been. So the path swept by the backup is

    p -> y              reaction: the segment v tau;
    y -> s(y, z)        braking with deceleration a along -z, s = y + z (|z| + a dt) / (2 a);
    s                   held (an anchor that the caller keeps).

The barrier of an obstacle is its distance from the path minus a tube radius. Its rows are the
sampled condition h(x+) >= (1 - alpha dt) h(x), linear in the control, written so that the backup
satisfies all of them at every safe state, whatever the number of obstacles: see `path_rows`.
The term a dt in s makes that exact in sampled time (a body that brakes for a whole tick from
|z| < a dt would run backwards; a partial tick stops within s).

Backup barriers: Gurriet et al. 2018; Singletary et al., arXiv 2201.04331. Sampled condition:
Agrawal and Sreenath, RSS 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Float

AnyArray: TypeAlias = Array | np.ndarray

EPSILON = 1e-9
"""Lengths below this have no direction [m]."""


@dataclass(frozen=True)
class Braking:
    """What the backup may count on.

    Attributes:
        deceleration: a, net of the declared disturbance [m/s^2].
        lag: tau, of the commanded acceleration [s].
        tick: dt, the period of the control [s].
        inner: how far the path may sink into a tube before every other aim yields to stopping
            short of the rest of it [m].
    """

    deceleration: float
    lag: float
    tick: float
    inner: float

    def __post_init__(self) -> None:
        """Refuse numbers with which no body brakes.

        Raises:
            ValueError: naming the field.
        """
        for name, value in vars(self).items():
            if not (value > 0 and value < float("inf")):
                raise ValueError(f"{name}: expected a positive finite number, got {value}")


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Motion:
    """A body as the barriers see it.

    Attributes:
        point: y, the virtual point [m], `[n]`.
        velocity: z, the virtual velocity [m/s], `[n]`.
    """

    point: Float[Array, "*batch n"]
    velocity: Float[Array, "*batch n"]


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class PathRows:
    """Rows A u >= b of the sampled barriers, two for each obstacle.

    Attributes:
        matrix: A, unit rows, `[2 K, n]`.
        bound: b [m/s^2], `[2 K]`.
        barrier: h of each obstacle [m], `[K]`.
    """

    matrix: Float[Array, "*batch rows n"]
    bound: Float[Array, "*batch rows"]
    barrier: Float[Array, "*batch obstacles"]


def motion_of(
    braking: Braking,
    position: Float[AnyArray, "*batch n"],
    velocity: Float[AnyArray, "*batch n"],
    acceleration: Float[AnyArray, "*batch n"],
) -> Motion:
    """The virtual point and velocity of a body whose true acceleration is `acceleration`."""
    point = jnp.asarray(position + braking.lag * velocity)
    return Motion(point, jnp.asarray(velocity + braking.lag * acceleration))


def stop_point(braking: Braking, motion: Motion) -> Float[Array, "*batch n"]:
    """Where the backup brings the virtual point to rest [m]."""
    speed = _norm(motion.velocity)[..., None]
    a = braking.deceleration
    return motion.point + motion.velocity * ((speed + a * braking.tick) / (2 * a))


def brake_control(braking: Braking, motion: Motion) -> Float[Array, "*batch n"]:
    """The backup's control while it moves: full braking, without running backwards [m/s^2]."""
    speed = _norm(motion.velocity)[..., None]
    return -motion.velocity / jnp.maximum(speed / braking.deceleration, braking.tick)


def hold_control(
    braking: Braking,
    motion: Motion,
    anchor: Float[Array, "*batch n"],
    stiffness: float = 4.0,
    damping: float = 4.0,
) -> Float[Array, "*batch n"]:
    """The backup's control at rest: stay at the anchor against a disturbance [m/s^2].

    Args:
        braking: what the backup may count on.
        motion: the body.
        anchor: the point to hold [m].
        stiffness: [1/s^2].
        damping: [1/s].

    Returns:
        A control no longer than the deceleration.
    """
    pull = stiffness * (anchor - motion.point) - damping * motion.velocity
    length = _norm(pull)[..., None]
    return pull * (braking.deceleration / jnp.maximum(length, braking.deceleration))


def distance_to_path(
    braking: Braking, motion: Motion, points: Float[Array, "*points n"]
) -> Float[Array, "*points"]:
    """Distance of each point from the braking path of one motion [m]."""
    return _from_segment(points, motion.point, stop_point(braking, motion))[1]


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
    start, stop = motion.point[..., None, :], stop_point(braking, motion)[..., None, :]
    away, distance = _from_segment(centres, start, stop)
    barrier = distance - radii
    offset = _dot(away, centres) + radii
    near, _ = _direction(start - centres, away)
    near_offset = _dot(near, centres) + radii - braking.inner
    sunk = barrier < -braking.inner
    rows = _plane_rows(braking, motion, away, offset, barrier, rate)

    def halted(second: _Row) -> _Row:
        halt = _halting_row(braking, motion, near, near_offset, rate)
        return (
            jnp.where(sunk[..., None], halt[0], second[0]),
            jnp.where(sunk, halt[1], second[1]),
        )

    # A path that has sunk into the tube is about to hit: stop short of the obstacle first.
    second = jax.lax.cond(jnp.any(sunk), halted, lambda second: second, rows[1])
    return _stacked(rows[0], second, barrier)


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
    start, stop = motion.point[..., None, :], stop_point(braking, motion)[..., None, :]
    ends = jnp.minimum(_dot(normals, start), _dot(normals, stop))
    barrier = ends - offsets
    return _stacked(*_plane_rows(braking, motion, normals, offsets, barrier, rate), barrier)


def join_rows(*parts: PathRows) -> PathRows:
    """All rows of all parts."""
    return PathRows(
        matrix=jnp.concatenate([part.matrix for part in parts], axis=-2),
        bound=jnp.concatenate([part.bound for part in parts], axis=-1),
        barrier=jnp.concatenate([part.barrier for part in parts], axis=-1),
    )


_Row = tuple[Array, Array]


def _plane_rows(
    braking: Braking, motion: Motion, normal: Array, offset: Array, barrier: Array, rate: Array
) -> tuple[_Row, _Row]:
    """The stop-point row and the virtual-point row of each separating plane."""
    dt = braking.tick
    backup = brake_control(braking, motion)
    after = motion.point + motion.velocity * dt + backup * (0.5 * dt * dt)
    kept = (1 - rate[..., None] * dt) * barrier
    room = _dot(normal, after[..., None, :]) - offset - kept
    stop_row = _speed_row(braking, motion, normal, room, room / dt)
    here = _dot(normal, motion.velocity[..., None, :])
    return stop_row, (normal, (-2 / dt * room - here) / dt)


def _halting_row(
    braking: Braking, motion: Motion, normal: Array, offset: Array, rate: Array
) -> _Row:
    """Stop short of the plane, or leave it at `rate` times the depth when already beyond it."""
    dt = braking.tick
    after = motion.point + motion.velocity * dt + brake_control(braking, motion) * (0.5 * dt * dt)
    room = _dot(normal, after[..., None, :]) - offset
    return _speed_row(braking, motion, normal, room, rate[..., None] * room)


def _speed_row(
    braking: Braking, motion: Motion, normal: Array, room: Array, retreat: Array
) -> _Row:
    """Bound the approach speed w = -n.z+ so that the stop point keeps within `room` along -n.

    Stopping from approach speed w with tangential speed t takes w (sqrt(w^2 + t^2) + a dt) / (2 a)
    along -n. The largest w is found at the backup's own t, and its tangent in t gives a row that
    is linear in the control, holds for the backup whenever the backup keeps within `room`, and
    also limits gaining tangential speed, which would lengthen the stop. With no room left the
    row asks for the (negative) approach speed `retreat`.
    """
    dt, a = braking.tick, braking.deceleration
    next_backup = motion.velocity + brake_control(braking, motion) * dt
    across = next_backup[..., None, :]
    across = across - _dot(normal, across)[..., None] * normal
    sideways, slip = _direction(across, jnp.zeros_like(across))
    approach = _approach_speed(2 * a * jnp.maximum(room, 0), slip, a * dt)
    total = jnp.sqrt(approach**2 + slip**2 + EPSILON**2)
    slope = approach * slip / total / (total + approach**2 / total + a * dt)
    blocked = room <= 0
    slope = jnp.where(blocked, 0, slope)
    approach = jnp.where(blocked, retreat, approach)
    row = normal - slope[..., None] * sideways
    length = jnp.sqrt(1 + slope**2)
    now = _dot(row, motion.velocity[..., None, :])
    return row / length[..., None], (-approach - slope * slip - now) / (dt * length)


def _approach_speed(energy: Array, slip: Array, step: Array | float) -> Array:
    """The w >= 0 that solves w (sqrt(w^2 + slip^2) + step) = energy.

    Newton from above on a convex increasing function: monotone, so it ends at or just above the
    root (1e-12 relative after four steps over the whole range used here).
    """
    square = slip * slip
    root = jnp.sqrt(square * square + 4 * energy * energy + EPSILON**4)
    speed = jnp.sqrt(2 * energy * energy / (square + root) + EPSILON**4)
    for _ in range(4):
        total = jnp.sqrt(speed * speed + square + EPSILON**2)
        excess = speed * (total + step) - energy
        speed = jnp.maximum(speed - excess / (total + speed * speed / total + step), 0)
    return speed


def _from_segment(points: Array, start: Array, stop: Array) -> tuple[Array, Array]:
    """Unit vector from each point to the nearest point of the segment, and the distance."""
    along = stop - start
    square = _dot(along, along)
    share = _dot(points - start, along) / jnp.maximum(square, EPSILON**2)
    nearest = start + jnp.clip(share, 0, 1)[..., None] * along
    # A point on the path itself: away from it means back to where the path starts.
    backwards, _ = _direction(start - points, jnp.zeros_like(points))
    return _direction(nearest - points, backwards)


def _direction(vector: Array, otherwise: Array) -> tuple[Array, Array]:
    """Unit vector and length; `otherwise` where there is no direction. Finite gradients."""
    length = _norm(vector)
    none = length < EPSILON
    unit = vector / jnp.where(none, 1, length)[..., None]
    return jnp.where(none[..., None], otherwise, unit), length


@jax.custom_jvp
def _dot(a: Array, b: Array) -> Array:
    """Inner product along the last, short axis, spelled out: a reduction costs more on a CPU."""
    return sum((a[..., i] * b[..., i] for i in range(1, a.shape[-1])), a[..., 0] * b[..., 0])


@_dot.defjvp
def _dot_jvp(at: tuple[Array, Array], along: tuple[Array, Array]) -> tuple[Array, Array]:
    """As a sum again: gradients through its components take half as long again."""
    (a, b), (da, db) = at, along
    return _dot(a, b), jnp.sum(da * b + a * db, axis=-1)


def _norm(vector: Array) -> Array:
    """Euclidean length with a zero gradient at zero."""
    square = _dot(vector, vector)
    zero = square == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, square)))


def _stacked(first: _Row, second: _Row, barrier: Array) -> PathRows:
    """Both rows of all obstacles, one after the other."""
    return PathRows(
        matrix=jnp.concatenate([first[0], second[0]], axis=-2),
        bound=jnp.concatenate([first[1], second[1]], axis=-1),
        barrier=barrier,
    )
