"""The exact twin, in jax, of one PyBullet step of a quadrotor driven by forces on its rotor links.

What PyBullet does in one physics step, and so does the twin:

1. forces on links act along the orientation of one step ago (the link frames are cached);
2. speed is damped quadratically, in world axes for the velocity, in body axes for the spin;
3. the gyroscopic torque is explicit;
4. velocities are clamped, then positions follow the new velocities (semi-implicit Euler);
5. the attitude turns by the exact exponential map in the world frame.

Pure, differentiable everywhere (also at rest), vmappable; any batch dimensions; dtype of the
state. No contact: `sim.engine.TwinEngine` adds it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Float

from sim.airframe import Airframe
from sim.battery import PhysicsError
from sim.physics import PLAIN, Physics, air_wrench
from sim.rotors import RotorState, turn_rotors
from sim.state import (
    AnyArray,
    State,
    inner,
    normalise,
    quaternion_multiply,
    rotate,
    rotate_inverse,
    safe_norm,
    up_of,
)

PHYSICS_HZ = 240
"""Physics steps a second."""

DAMPING = 0.03999999910593033
"""PyBullet's default damping, linear [1/s, 1/m] and angular [1/s, 1/rad]: 0.04 as a float32."""

SPEED_LIMIT = 100.0
"""Bound of each component of the velocity [m/s] and of the angular velocity [rad/s], world."""

TURN_LIMIT = jnp.pi / 4
"""Largest angle of one step [rad]."""


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class TwinState:
    """A body in flight, as PyBullet remembers it.

    Attributes:
        body: the rigid-body state.
        lagged_quaternion: orientation one physics step ago, xyzw, `[*batch, 4]`.
        rotors: their memory; None where the physics keeps none.
    """

    body: State
    lagged_quaternion: Float[AnyArray, "*batch 4"]
    rotors: RotorState | None = None


def start(state: State, rotors: RotorState | None = None) -> TwinState:
    """A body that has just been placed: its link frames are fresh, so nothing lags yet.

    Args:
        state: where, and how it moves.
        rotors: their memory, `Physics.start(...)`; None where the physics keeps none.
    """
    return TwinState(state, state.quaternion, rotors)


def step(
    airframe: Airframe,
    twin_state: TwinState,
    forces: Float[AnyArray, "*#batch 4"],
    dt: float | Float[AnyArray, ""] = 1 / PHYSICS_HZ,
    force_world: Float[AnyArray, "*#batch 3"] | None = None,
    mass_scale: float | Float[AnyArray, "*#batch"] = 1.0,
    physics: Physics = PLAIN,
    others: Float[AnyArray, "*#batch n 3"] | None = None,
) -> TwinState:
    """One physics step.

    Args:
        airframe: the quadrotor.
        twin_state: the state before the step.
        forces: of the rotors [N]; applied as given, limits are the engines' concern (with
            imperfect rotors: commanded, in [0, `airframe.max_force`]).
        dt: length of the step [s].
        force_world: external force at the centre of mass [N], world frame, for this step.
        mass_scale: true mass and inertia over the airframe's.
        physics: what there is besides rigid-body motion.
        others: positions of the drones whose downwash is felt [m].

    Returns:
        The state `dt` later, its batch dimensions those of all arguments together.

    Raises:
        PhysicsError: the physics needs a memory of the rotors, or numbers, that are not there; or
            the length, where it is no traced value, is not positive and finite.
    """
    if isinstance(dt, float | int) and not 0 < dt < math.inf:
        raise PhysicsError(f"dt: expected a positive finite number of seconds, got {dt!r}")
    rotors = twin_state.rotors
    twin_state = TwinState(twin_state.body.as_jax(), jnp.asarray(twin_state.lagged_quaternion))
    body = twin_state.body
    dtype = body.velocity.dtype
    scale = jnp.asarray(mass_scale, dtype)[..., None]
    forces, push, twist = jnp.asarray(forces, dtype), None, None
    if not physics.plain:
        rotors, forces, push, twist = _options(
            airframe, replace(twin_state, rotors=rotors), forces, dt, physics, others
        )
    thrust_axis = _lagged_thrust_axis(twin_state)
    force, torque = _rotor_wrench(airframe, thrust_axis, forces)
    torque = torque if twist is None else torque + twist
    acceleration = rotate(body.quaternion, force) / (airframe.mass * scale)
    if push is not None:
        acceleration += push / (airframe.mass * scale)
    if force_world is not None:
        acceleration += jnp.asarray(force_world, dtype) / (airframe.mass * scale)
    acceleration = acceleration - _damping(body.velocity) - _gravity(airframe, dtype)

    inertia = jnp.asarray(airframe.inertia, dtype)
    spin = body.angular_velocity
    angular_acceleration = (torque / scale - _gyroscopic(inertia, spin)) / inertia - _damping(spin)
    velocity = _clamp(body.velocity + dt * acceleration)
    spin_world = _clamp(rotate(body.quaternion, spin + dt * angular_acceleration))
    position, velocity = jnp.broadcast_arrays(body.position + dt * velocity, velocity)
    quaternion = _turn(body.quaternion, spin_world, dt)
    moved = State(position, velocity, quaternion, rotate_inverse(quaternion, spin_world))
    return _uniform(TwinState(moved, body.quaternion, rotors))


def _options(
    airframe: Airframe,
    twin_state: TwinState,
    forces: Float[AnyArray, "*#batch 4"],
    dt: float | Float[AnyArray, ""],
    physics: Physics,
    others: Float[AnyArray, "*#batch n 3"] | None,
) -> tuple[RotorState | None, AnyArray, AnyArray, AnyArray]:
    """The rotors' memory and forces, and what the air adds: world force, body torque."""
    physics.check(airframe)
    body, rotors, speeds = twin_state.body, twin_state.rotors, None
    if others is not None:
        others = jnp.asarray(others, forces.dtype)
    if physics.remembers:
        if rotors is None:
            raise PhysicsError(f"rotors: expected the memory of {physics}.start(), got None")
        rotors, speeds = jax.tree.map(jnp.asarray, rotors), rotors.speeds
        rotors, forces = turn_rotors(airframe, physics.rotors, rotors, forces, dt)
    lagged = twin_state.lagged_quaternion
    push, twist = air_wrench(airframe, physics, body, lagged, forces, speeds, others)
    return rotors, forces, push, twist


def wind_force(
    airframe: Airframe,
    velocity: Float[AnyArray, "*#batch 3"],
    wind: Float[AnyArray, "*#batch 3"],
    mass_scale: float | Float[AnyArray, "*#batch"] = 1.0,
) -> Float[Array, "*batch 3"]:
    """The force that makes the damping act on the velocity relative to moving air.

    Damping is the only drag of this model: a(v) = -D(v) with D(v) = 0.04 (1 + |v|) v. In air that
    moves at `wind` it should be -D(v - wind), hence the force m (D(v) - D(v - wind)).

    Args:
        airframe: the quadrotor.
        velocity: of the body [m/s], world frame.
        wind: velocity of the air [m/s], world frame.
        mass_scale: true mass over the airframe's.

    Returns:
        Force at the centre of mass [N], world frame; zero in still air.
    """
    velocity = jnp.asarray(velocity)
    scale = jnp.asarray(mass_scale, velocity.dtype)[..., None]
    relative = velocity - jnp.asarray(wind, velocity.dtype)
    return airframe.mass * scale * (_damping(velocity) - _damping(relative))


def _lagged_thrust_axis(twin_state: TwinState) -> Float[AnyArray, "*batch 3"]:
    """The direction of the rotors' thrust, one step old, seen from the body as it is now."""
    return rotate_inverse(twin_state.body.quaternion, up_of(twin_state.lagged_quaternion))


def _rotor_wrench(
    airframe: Airframe, axis: Float[AnyArray, "*#batch 3"], forces: Float[AnyArray, "*#batch 4"]
) -> tuple[Float[AnyArray, "*batch 3"], Float[AnyArray, "*batch 3"]]:
    """Force and torque of the rotors in the body frame, all pushing and twisting along `axis`.

    The sum of P_i x f_i axis is (sum of f_i P_i) x axis; the mixer's torque rows hold
    y_i, -x_i and the yaw arm, so (sum f_i P_i) = (-tau_y, tau_x, 0).
    """
    # Spelled out: on a CPU a product with so small a matrix is a call of its own.
    thrust, torque_x, torque_y, torque_z = (
        inner(forces, row) for row in jnp.asarray(airframe.mixer, forces.dtype)
    )
    ex, ey, ez = (axis[..., i] for i in range(3))
    lever = jnp.stack([torque_x * ez, torque_y * ez, -torque_y * ey - torque_x * ex], axis=-1)
    return thrust[..., None] * axis, lever + torque_z[..., None] * axis


def _damping(velocity: Float[AnyArray, "*batch 3"]) -> Float[AnyArray, "*batch 3"]:
    """Deceleration 0.04 (1 + |v|) v, of a velocity [m/s^2] or of a spin [rad/s^2]."""
    return DAMPING * (1 + safe_norm(velocity, keepdims=True)) * velocity


def _gyroscopic(
    inertia: Float[AnyArray, " 3"], spin: Float[AnyArray, "*batch 3"]
) -> Float[AnyArray, "*batch 3"]:
    """Spin x (J spin) [N m], at the start of the step."""
    return jnp.cross(spin, inertia * spin)


def _gravity(airframe: Airframe, dtype: jnp.dtype) -> Float[AnyArray, " 3"]:
    """The weight's acceleration, downwards, as a positive z [m/s^2]."""
    return jnp.asarray([0.0, 0.0, airframe.gravity], dtype)


def _clamp(velocity: Float[AnyArray, "*batch 3"]) -> Float[AnyArray, "*batch 3"]:
    """Each world component within the speed limit."""
    return jnp.clip(velocity, -SPEED_LIMIT, SPEED_LIMIT)


def _turn(
    quaternion: Float[AnyArray, "*#batch 4"],
    spin_world: Float[AnyArray, "*#batch 3"],
    dt: float | Float[AnyArray, ""],
) -> Float[AnyArray, "*batch 4"]:
    """Turn by the exponential map of spin dt, the angle limited as PyBullet limits it."""
    half_angle = jnp.minimum(0.5 * dt * safe_norm(spin_world, keepdims=True), TURN_LIMIT / 2)
    # jnp.sinc(x) = sin(pi x) / (pi x) is smooth at zero, gradients included.
    vector = spin_world * (0.5 * dt * jnp.sinc(half_angle / jnp.pi))
    return normalise(
        quaternion_multiply(
            jnp.concatenate([vector, jnp.cos(half_angle)], axis=-1), jnp.asarray(quaternion)
        )
    )


def _uniform(twin_state: TwinState) -> TwinState:
    """Give every field the same batch dimensions."""
    body = twin_state.body
    fields = (body.position, body.velocity, body.quaternion, body.angular_velocity)
    batch = jnp.broadcast_shapes(*(field.shape[:-1] for field in fields))
    x, v, q, w, lagged = (
        jnp.broadcast_to(field, (*batch, field.shape[-1]))
        for field in (*fields, twin_state.lagged_quaternion)
    )
    return TwinState(State(x, v, q, w), lagged, twin_state.rotors)
