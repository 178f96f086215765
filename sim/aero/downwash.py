"""The plume of air under other drones (fitted by S. Zhou, Dynamic Systems Lab)."""

from __future__ import annotations

from jaxtyping import Float

from sim.airframe import Airframe
from sim.arrays import AnyArray, namespace

REACH = 10.0
"""Horizontal distance from which a plume is not felt [m]."""
_LEAST_DEPTH = 1e-6
"""Depths below count as this one [m]: the formula's force has no bound."""
_LEAST_WIDTH = 1e-9
"""Widths below count as this one [m]: the formula's passes through zero."""


def downwash_force(
    airframe: Airframe,
    position: Float[AnyArray, "*#batch 3"],
    others: Float[AnyArray, "*#batch n 3"],
) -> Float[AnyArray, "*batch"]:
    """Force of the plumes of all drones above: each -a (R / 4d)^2 exp(-(s / (b d + c))^2 / 2).

    Args:
        airframe: whose coefficients a, b, c and propeller radius R.
        position: own [m], world frame.
        others: positions of the drones [m]; d is how far one is above, s how far to the side.
            One that is not above has no plume here, so one's own position may be among them.

    Returns:
        Force [N] along the body's z axis, never positive.
    """
    xp = namespace(position, others)
    strength, growth, start = airframe.downwash_coefficients
    offset = others - position[..., None, :]
    depth, aside = offset[..., 2], offset[..., 0] ** 2 + offset[..., 1] ** 2
    above = (depth > 0) & (aside < REACH**2)
    depth = xp.maximum(depth, _LEAST_DEPTH)
    width = growth * depth + start
    square = xp.maximum(width * width, _LEAST_WIDTH**2)
    ratio = airframe.propeller_radius / (4 * depth)
    plume = strength * ratio * ratio * xp.exp(-0.5 * (aside / square))
    return xp.asarray(-xp.where(above, plume, xp.zeros_like(plume)).sum(axis=-1))
