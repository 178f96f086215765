"""From commands to rotor forces: a small cascade, the same in numpy and in jax.

    velocity -> acceleration -> body rates and thrust -> rotor forces

Proportional at every stage, with gravity, drag and the gyroscopic torque fed forward. It runs at
every physics tick. Each function takes one body (no batch dimension: `jax.vmap` for many).

Velocities and accelerations are commanded in the heading frame: level axes, x where the nose
points, y to its left, z up.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import TypeAlias

from jaxtyping import Float

from sim.airframe import Airframe
from sim.shapes.arrays import namespace
from sim.state import AnyArray, State
from sim.twin import DAMPING

Number: TypeAlias = float | AnyArray
"""One number, in numpy or in jax."""
Numbers: TypeAlias = Float[AnyArray, " 4"] | list[float] | tuple[float, ...]
"""Four numbers: an array, or plain floats where the state holds plain floats too."""

VELOCITY_GAIN = 3.0
"""Velocity error to acceleration [1/s]."""
ATTITUDE_GAIN = 15.0
"""Sine of the tilt error to body rate [1/s]."""
RATE_GAIN = 50.0
"""Rate error to angular acceleration [1/s]."""
LEAST_LIFT = 0.2
"""Least upward share of the wished thrust, as a fraction of the weight: never upside down."""
MOST_THRUST = 0.9
"""Most collective thrust, as a fraction of what the rotors can give; the rest is for torque."""


def forces_of_rates(airframe: Airframe, state: State, command: Numbers) -> Numbers:
    """Rotor forces [N] inside their limits, for a collective thrust and body rates.

    Torque goes before thrust: where both do not fit, thrust gives way; where the torque alone does
    not fit, all of it shrinks alike.

    Args:
        airframe: the quadrotor.
        state: of it.
        command: thrust of all rotors together [N], rates about the body's x, y, z [rad/s].
    """
    xp = _functions(command)
    thrust, wished_x, wished_y, wished_z = command
    x, y, z = state.angular_velocity
    jx, jy, jz = airframe.inertia
    torque_x = jx * RATE_GAIN * (wished_x - x) + (jz - jy) * y * z
    torque_y = jy * RATE_GAIN * (wished_y - y) + (jx - jz) * z * x
    torque_z = jz * RATE_GAIN * (wished_z - z) + (jy - jx) * x * y
    turning = [
        float(row[1]) * torque_x + float(row[2]) * torque_y + float(row[3]) * torque_z
        for row in airframe.mixer_inverse
    ]
    most = airframe.max_force
    low, high = _least(xp, turning), -_least(xp, [-part for part in turning])
    shrink = most / xp.maximum(high - low, most)
    lift = xp.minimum(xp.maximum(thrust / 4, -shrink * low), most - shrink * high)
    forces = [lift + shrink * part for part in turning]
    return xp.stack([xp.minimum(xp.maximum(force, 0.0), most) for force in forces])


def forces_of_acceleration(airframe: Airframe, state: State, command: Numbers) -> Numbers:
    """Rotor forces [N] inside their limits, for an acceleration and a yaw rate.

    Args:
        airframe: the quadrotor.
        state: of it.
        command: net acceleration in the heading frame [m/s^2], yaw rate [rad/s].
    """
    xp = _functions(command)
    ahead, left, up, yaw_rate = command
    cosine, sine = _heading(xp, state)
    vx, vy, vz = state.velocity
    drag = DAMPING * (1 + xp.sqrt(vx * vx + vy * vy + vz * vz))
    # What the rotors must give per unit of mass, world axes.
    wx = cosine * ahead - sine * left + drag * vx
    wy = sine * ahead + cosine * left + drag * vy
    wz = xp.maximum(up + drag * vz + airframe.gravity, LEAST_LIFT * airframe.gravity)
    # The same in body axes: rows of R^T.
    x, y, z, w = state.quaternion
    bx = (1 - 2 * (y * y + z * z)) * wx + 2 * (x * y + z * w) * wy + 2 * (x * z - y * w) * wz
    by = 2 * (x * y - z * w) * wx + (1 - 2 * (x * x + z * z)) * wy + 2 * (y * z + x * w) * wz
    bz = 2 * (x * z + y * w) * wx + 2 * (y * z - x * w) * wy + (1 - 2 * (x * x + y * y)) * wz
    length = xp.sqrt(wx * wx + wy * wy + wz * wz)
    thrust = xp.minimum(xp.maximum(airframe.mass * bz, 0.0), MOST_THRUST * 4 * airframe.max_force)
    # e3 x wished direction: the axis to turn about, as long as the sine of the tilt error.
    rates = (-ATTITUDE_GAIN * by / length, ATTITUDE_GAIN * bx / length, yaw_rate)
    return forces_of_rates(airframe, state, xp.stack([thrust, *rates]))


def forces_of_velocity(airframe: Airframe, most: float, state: State, command: Numbers) -> Numbers:
    """Rotor forces [N] inside their limits, for a velocity and a yaw rate.

    Args:
        airframe: the quadrotor.
        most: acceleration that is asked for along each axis [m/s^2].
        state: of it.
        command: velocity in the heading frame [m/s], yaw rate [rad/s].
    """
    xp = _functions(command)
    ahead, left, up, yaw_rate = command
    cosine, sine = _heading(xp, state)
    vx, vy, vz = state.velocity
    errors = (ahead - cosine * vx - sine * vy, left + sine * vx - cosine * vy, up - vz)
    pulls = [xp.minimum(xp.maximum(VELOCITY_GAIN * error, -most), most) for error in errors]
    return forces_of_acceleration(airframe, state, xp.stack([*pulls, yaw_rate]))


class _Floats:
    """What the controllers need of numpy, for plain floats: a tenth of the time."""

    minimum, maximum, sqrt, stack = min, max, math.sqrt, tuple

    @staticmethod
    def where(condition: bool, one: float, other: float) -> float:
        """One of two."""
        return one if condition else other


Functions: TypeAlias = ModuleType | type[_Floats]


def _functions(command: Numbers) -> Functions:
    return _Floats if isinstance(command, list | tuple) else namespace(command)


def _heading(xp: Functions, state: State) -> tuple[Number, Number]:
    """Cosine and sine of the yaw: the direction of the nose's shadow; north where it has none."""
    x, y, z, w = state.quaternion
    ahead, left = 1 - 2 * (y * y + z * z), 2 * (w * z + x * y)
    square = ahead * ahead + left * left
    upright = square > 1e-12
    length = xp.sqrt(xp.where(upright, square, 1.0))
    return xp.where(upright, ahead / length, 1.0), xp.where(upright, left / length, 0.0)


def _least(xp: Functions, parts: list[Number]) -> Number:
    a, b, c, d = parts
    return xp.minimum(xp.minimum(a, b), xp.minimum(c, d))
