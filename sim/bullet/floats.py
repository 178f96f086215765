"""A tick's arithmetic in plain floats: for three numbers at a time nothing is faster in Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from sim.twin import DAMPING

Vector: TypeAlias = tuple[float, float, float]
Turn: TypeAlias = tuple[float, float, float, float]
"""A unit quaternion, xyzw, body to world."""
Wrench: TypeAlias = tuple[float, float, float, float]
"""Thrust [N], then torque about body x, y, z [N m]."""


def rotor_wrench(mixer: Sequence[Sequence[float]], forces: Sequence[float]) -> Wrench:
    """Thrust and torques of rotor forces [N]; written out, for speed."""
    a, b, c, d = forces
    all_of, about_x, about_y, about_z = mixer
    return (
        all_of[0] * a + all_of[1] * b + all_of[2] * c + all_of[3] * d,
        about_x[0] * a + about_x[1] * b + about_x[2] * c + about_x[3] * d,
        about_y[0] * a + about_y[1] * b + about_y[2] * c + about_y[3] * d,
        about_z[0] * a + about_z[1] * b + about_z[2] * c + about_z[3] * d,
    )


def up_of(turn: Turn) -> Vector:
    """The body's z axis in the world frame."""
    x, y, z, w = turn
    return 2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)


def wind_push(mass: float, velocity: Vector, wind: Vector) -> Vector:
    """Force of moving air [N]; `sim.twin.wind_force`."""
    vx, vy, vz = velocity
    rx, ry, rz = vx - wind[0], vy - wind[1], vz - wind[2]
    still = mass * DAMPING * (1 + math.sqrt(vx * vx + vy * vy + vz * vz))
    moving = mass * DAMPING * (1 + math.sqrt(rx * rx + ry * ry + rz * rz))
    return still * vx - moving * rx, still * vy - moving * ry, still * vz - moving * rz


def into_body(quaternion: Turn, vector: Vector) -> Vector:
    """World to body in plain floats: R(quaternion)^T vector."""
    x, y, z, w = quaternion
    vx, vy, vz = vector
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return (
        vx - w * tx + y * tz - z * ty,
        vy - w * ty + z * tx - x * tz,
        vz - w * tz + x * ty - y * tx,
    )
