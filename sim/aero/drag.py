"""Drag of the spinning rotors, proportional to the body's speed (Förster, 2015)."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from sim.airframe import Airframe
from sim.arrays import AnyArray

_RADIANS_A_SECOND = 2 * math.pi / 60


def drag_force(
    airframe: Airframe, velocity: Float[AnyArray, "*#batch 3"], speeds: Float[AnyArray, "*#batch 4"]
) -> Float[AnyArray, "*batch 3"]:
    """Drag -D v (sum of the rotors' speeds).

    The coefficients D belong to the body's axes but are applied along the world's, as in
    gym-pybullet-drones.

    Args:
        airframe: whose coefficients.
        velocity: of the body [m/s], world frame.
        speeds: of the rotors [rpm]; gym-pybullet-drones takes those of the step before.

    Returns:
        Force [N], world axes.
    """
    total = (speeds[..., 0] + speeds[..., 1] + speeds[..., 2] + speeds[..., 3]) * _RADIANS_A_SECOND
    coefficients = np.asarray(airframe.drag_coefficients, velocity.dtype)
    return -coefficients * total[..., None] * velocity
