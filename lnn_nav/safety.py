"""The drone's own barriers: two differentiable filters, both run at every tick of a flight.

`stay_clear` corrects the wished acceleration so that the path swept by the backup (react, brake,
hold) keeps clear of everything that the rays have seen and stays inside the bounds and inside the
space that has been scanned. `rotor_forces` turns a wrench into forces that the rotors can give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float

from barriernet import Outcome, Solution
from barriernet.backup import Braking, Motion, PathRows, join_rows, path_rows, plane_rows
from barriernet.shortcut import NearSolver, solve_qp_near
from lnn_nav.scan import Near
from sim.airframe import Airframe
from sim.state import State, inner, rotate_inverse, safe_norm


@dataclass(frozen=True)
class SafetyShape:
    """What the barriers count on. The sets nest: brake ball in acceleration box in thrust set.

    Attributes:
        box: half sizes of the box of commanded accelerations along x, y and z [m/s^2].
        brake: deceleration of the backup, the declared wind included [m/s^2].
        declared_wind: largest unmodelled acceleration [m/s^2].
        lag: of the acceleration behind the command: the attitude's [s].
        tick: period of the control [s].
        margin: clearance of the hull from a ball at rest [m].
        stretch: growth of the tube with speed, for what the lag model leaves out [s].
        inner: see `Braking` [m].
        edge: distance of the centre from the faces of the bounds [m].
        max_tilt: soft limit, above the largest tilt of the acceleration box [rad].
        max_rate: soft limit of the body rate about x and y [rad/s].
    """

    box: tuple[float, float, float] = (6.0, 6.0, 4.5)
    brake: float = 4.5
    declared_wind: float = 1.0
    lag: float = 0.06
    tick: float = 1 / 240
    margin: float = 0.06
    stretch: float = 0.01
    inner: float = 0.03
    edge: float = 0.12
    max_tilt: float = 1.25
    max_rate: float = 20.0

    @cached_property
    def braking(self) -> Braking:
        """The backup, net of the declared wind."""
        return Braking(self.brake - self.declared_wind, self.lag, self.tick, self.inner)

    def tube(
        self, airframe: Airframe, velocity: Float[Array, "*batch 3"]
    ) -> Float[Array, "*batch"]:
        """Radius of the tube around the path [m]."""
        still = airframe.collision_radius + self.margin
        return still + self.stretch * jnp.asarray(safe_norm(velocity))


def barrier_rows(
    shape: SafetyShape,
    airframe: Airframe,
    motion: Motion,
    near: Near,
    bounds: Float[Array, "2 3"],
    gains: Float[Array, " 2"],
) -> PathRows:
    """All rows of the stopping path: balls, faces of the bounds, edge of the scanned space.

    Args:
        shape: what the barriers count on.
        airframe: the drone.
        motion: its virtual point and velocity.
        near: balls to keep clear of, and the scanned space.
        bounds: lower and upper corner [m].
        gains: class-K gains [1/s], of obstacles and of bounds.
    """
    dtype = motion.point.dtype
    tube = shape.tube(airframe, motion.velocity)
    balls = path_rows(
        shape.braking, motion, near.centres.astype(dtype), near.radii.astype(dtype) + tube, gains[0]
    )
    eye = jnp.eye(3, dtype=dtype)
    faces = jnp.concatenate([bounds[0], -bounds[1]]).astype(dtype) + shape.edge
    outward = motion.point - near.origin.astype(dtype)
    outward = outward + motion.velocity * (1e-3 + safe_norm(motion.velocity))
    inward = -outward / jnp.maximum(safe_norm(outward), 1e-6)
    rim = inner(inward, near.origin.astype(dtype)) - near.reach.astype(dtype) + tube
    planes = plane_rows(
        shape.braking,
        motion,
        jnp.concatenate([eye, -eye, inward[None]]),
        jnp.concatenate([faces, rim[None]]),
        gains[1],
    )
    return join_rows(balls, planes)


def stay_clear(
    shape: SafetyShape,
    rows: PathRows,
    wish: Float[Array, " 3"],
    solve: NearSolver = solve_qp_near,
) -> Solution:
    """The acceleration nearest to the wish that meets every row, inside the box.

    Rows are hard: at a safe state the backup meets all of them. Where they contradict each other
    (a ball has appeared inside the tube) the answer is the least bad one, and says so.

    Args:
        shape: what the barriers count on.
        rows: of `barrier_rows`.
        wish: acceleration [m/s^2], world frame.
        solve: what answers.
    """
    dtype = wish.dtype
    box = jnp.asarray(shape.box, dtype)
    weight = jnp.full(rows.bound.shape, jnp.inf, dtype)
    eye = jnp.eye(3, dtype=dtype)
    return solve(wish, eye, rows.matrix, rows.bound, -box, box, weight)


def rotor_forces(
    shape: SafetyShape,
    airframe: Airframe,
    state: State,
    wrench: Float[Array, " 4"],
    solve: NearSolver = solve_qp_near,
) -> tuple[Float[Array, " 4"], Solution]:
    """Forces in [0, f_max] whose wrench is nearest to the wished one, bit for bit inside.

    The cost weighs thrust in units of the weight and torques in units of what the rotors can
    give. Soft rows keep tilt and body rates in their range: h = up_z - cos(max_tilt), of relative
    degree two (HOCBF with both poles at 20/s), and +-rate limits of relative degree one.

    Args:
        shape: limits of tilt and rate.
        airframe: the drone.
        state: attitude and body rates.
        wrench: thrust [N] and body torque [N m].
        solve: what answers.

    Returns:
        Forces [N], finite for any input, and the answer of the solver in units of f_max.
    """
    dtype = wrench.dtype
    units = _wrench_units(airframe)
    mixer = airframe.mixer * airframe.max_force / units[:, None]
    matrix, bound = _attitude_rows(shape, airframe, state, dtype)
    unmix = jnp.asarray(airframe.mixer_inverse / airframe.max_force, dtype)
    levers = jnp.asarray(airframe.mixer[1:] * airframe.max_force, dtype)
    alone = jnp.asarray(inner(unmix, wrench))
    answer = solve(
        alone,
        jnp.asarray(mixer.T @ mixer, dtype),
        jnp.asarray(inner(matrix[:, None], levers.T)),
        bound,
        jnp.zeros(4, dtype),
        jnp.ones(4, dtype),
        jnp.full(bound.shape, 1e-3, dtype),
    )
    # Without an answer: what the wrench asks of each rotor, cut to what it can give.
    solved = answer.outcome == int(Outcome.SOLVED)
    forces = jnp.where(solved, answer.x, alone) * airframe.max_force
    return clip_forces(airframe, forces), answer


def clip_forces(airframe: Airframe, forces: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
    """The last word: hover force for what is not finite, then elementwise limits."""
    forces = jnp.where(jnp.isfinite(forces), forces, airframe.hover_force)
    return jnp.clip(forces, 0, airframe.max_force)


def _wrench_units(airframe: Airframe) -> Float[np.ndarray, " 4"]:
    """Scales that make a wrench's parts comparable: weight, then torques."""
    return np.concatenate([[airframe.mass * airframe.gravity], airframe.max_torque])


def _attitude_rows(
    shape: SafetyShape, airframe: Airframe, state: State, dtype: DTypeLike
) -> tuple[Array, Array]:
    """Rows on the body torque [N m]: tilt (1) and rates about x and y (4)."""
    inertia = jnp.asarray(airframe.inertia, dtype)
    spin = state.angular_velocity.astype(dtype)
    up = jnp.asarray([0.0, 0.0, 1.0], dtype)
    # In the body frame the world's up turns with -spin: up' = up x spin.
    z = rotate_inverse(state.quaternion.astype(dtype), up)
    rate = jnp.cross(z, spin)
    pole = jnp.asarray(20.0, dtype)
    free = -jnp.cross(spin, inertia * spin) / inertia
    lever = jnp.stack([-z[1], z[0], jnp.zeros((), dtype)])
    tilt = z[2] - math.cos(shape.max_tilt)
    drift = jnp.cross(rate, spin)[2] + inner(lever, free)
    tilt_bound = -(drift + 2 * pole * rate[2] + pole * pole * tilt)
    eye = jnp.eye(3, dtype=dtype)[:2]
    matrix = jnp.concatenate([lever[None], -eye, eye]) / inertia
    slow = -pole * (shape.max_rate - spin[:2]) + free[:2]
    fast = -pole * (shape.max_rate + spin[:2]) - free[:2]
    return matrix, jnp.concatenate([tilt_bound[None], slow, fast])
