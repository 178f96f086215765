"""The air of one flight: the steady wind, its gusts and its sway."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from sim.sensors.disturbance import Disturbance
from sim.twin import PHYSICS_HZ
from sim.wind.average import moving_average
from sim.wind.dryden import dryden, dryden_low_altitude

SWAY_WINDOW = 2.0
"""How long a moving-average wind averages [s]."""

LEAST_AIRSPEED = 0.5
"""The gusts of a flight that hovers in still air pass by at this speed [m/s]."""


def air_of(
    disturbance: Disturbance,
    seed: int,
    ticks: int,
    wind: tuple[float, float, float],
    heading: float,
    height: float,
    speed: float,
) -> Float[np.ndarray, "ticks 3"] | None:
    """Velocity of the air at each tick [m/s], world frame; None if the wind is steady.

    The scale lengths and intensities are those of the height of the start, and gusts pass by at
    the speed of a flight across the wind; so the air is a function of the seed and the time alone,
    and no two engines or pilots get different air. A component of the gusts lies along the wind.

    Args:
        disturbance: of which `gust` and `sway` count here.
        seed: of the mission.
        ticks: how many [1/240 s].
        wind: the steady one [m/s], world frame.
        heading: of the wind [rad], from x towards y.
        height: of the start [m].
        speed: set speed of the flight [m/s].
    """
    if not (disturbance.gust > 0 or disturbance.sway > 0):
        return None
    air = np.tile(np.asarray(wind, np.float64), (ticks, 1))
    if disturbance.gust > 0:
        airspeed = max(math.hypot(speed, *wind), LEAST_AIRSPEED)
        turbulence = dryden_low_altitude(height, disturbance.gust, airspeed)
        draws = np.random.default_rng([0x9057, seed])
        along, across, up = dryden(turbulence, ticks, 1 / PHYSICS_HZ, draws).T
        cos, sin = math.cos(heading), math.sin(heading)
        air += np.stack([cos * along - sin * across, sin * along + cos * across, up], axis=-1)
    if disturbance.sway > 0:
        draws = np.random.default_rng([0x5A47, seed])
        window = round(SWAY_WINDOW * PHYSICS_HZ)
        air += moving_average(disturbance.sway, window, ticks, draws)
    return air
