"""The cushion of air under rotors near the ground z = 0 (after Shi et al., 2019)."""

from __future__ import annotations

import math

from jaxtyping import Float

from sim.airframe import Airframe
from sim.arrays import AnyArray, namespace

_GIMBAL = 0.99999
"""Sine of the pitch from which PyBullet calls it a right angle."""


def ground_effect_forces(
    airframe: Airframe,
    position: Float[AnyArray, "*#batch 3"],
    quaternion: Float[AnyArray, "*#batch 4"],
    forces: Float[AnyArray, "*#batch 4"],
) -> Float[AnyArray, "*batch 4"]:
    """What the ground adds to each rotor's force: f c (R / 4h)^2, h the height of that rotor.

    Heights count from a least one, at which the sum is bounded. Nothing is added to a body whose
    roll or pitch is a right angle or more.

    Args:
        airframe: whose rotors and coefficients.
        position: of the centre of mass [m], world frame.
        quaternion: body to world, xyzw.
        forces: of the rotors [N].

    Returns:
        Forces [N] along the body's z axis, at the rotors.
    """
    xp = namespace(position, quaternion, forces)
    x, y, z, w = (quaternion[..., i] for i in range(4))
    nose_up, left_up, up = 2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z
    heights = xp.stack(
        [position[..., 2] + nose_up * px + left_up * py for px, py in airframe.rotor_positions],
        axis=-1,
    )
    coefficient, radius = airframe.ground_effect_coefficient, airframe.propeller_radius
    least = 0.25 * radius * math.sqrt(15 * coefficient / 4)
    # A floor above zero also where the coefficient is none.
    ratio = radius / (4 * xp.maximum(heights, max(least, 1e-6)))
    upright = (up > 0) & (xp.abs(nose_up) < _GIMBAL)
    return xp.where(upright[..., None], coefficient * forces * ratio * ratio, xp.zeros_like(ratio))
