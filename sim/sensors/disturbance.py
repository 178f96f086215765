"""How a flight differs from the ideal one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Disturbance:
    """What differs between the real flight and the ideal one; everything is seeded by the mission.

    Attributes:
        wind: speed of the air [m/s], horizontal, direction drawn from the seed.
        mass_error: the airframe's mass and inertia are off by this fraction, sign from the seed.
        range_noise: standard deviation of a range, as a fraction of it.
        drop: probability that the return of a ray is lost.
        jitter: standard deviation of the time between two sights [s].
        delay: age of a sight when the pilot gets it [s].
        gust: Dryden gusts, of the turbulence that comes with a wind of this speed at 6 m [m/s].
        sway: standard deviation of each axis of a wind that is a moving average of white noise
            over 2 s [m/s].
        inertia_error: the inertia is off by this fraction more, sign from the seed.
        start_offset: the start is off by up to this distance [m], where that is clear.
        start_speed: the start is at up to this speed instead of at rest [m/s].
        start_tilt: the start is turned by up to this angle, about any axis [rad].
        range_bias: standard deviation of a constant error of each ray [m].
        range_walk: growth of each ray's error that walks at random [m/sqrt(s)].
        range_step: ranges come in whole multiples of this [m].
        blind: width of a sector of azimuth, its direction from the seed, that never returns
            anything [rad].
        position_noise: standard deviation of each axis of the estimated position [m].
        position_bias: standard deviation of a constant error of each axis of it [m].
        velocity_noise: the same of the estimated velocity [m/s].
        attitude_noise: the same of the estimated attitude, about each body axis [rad].
        spin_noise: the same of the estimated angular velocity [rad/s].
    """

    wind: float = 0.0
    mass_error: float = 0.0
    range_noise: float = 0.0
    drop: float = 0.0
    jitter: float = 0.0
    delay: float = 0.0
    gust: float = 0.0
    sway: float = 0.0
    inertia_error: float = 0.0
    start_offset: float = 0.0
    start_speed: float = 0.0
    start_tilt: float = 0.0
    range_bias: float = 0.0
    range_walk: float = 0.0
    range_step: float = 0.0
    blind: float = 0.0
    position_noise: float = 0.0
    position_bias: float = 0.0
    velocity_noise: float = 0.0
    attitude_noise: float = 0.0
    spin_noise: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no world can have.

        Raises:
            ValueError: naming the field.
        """
        for name, value in vars(self).items():
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name}: expected a finite number >= 0, got {value}")
        for name in ("mass_error", "drop", "inertia_error"):
            if getattr(self, name) >= 1:
                raise ValueError(f"{name}: expected a fraction below 1, got {getattr(self, name)}")
        for name in ("start_tilt", "blind"):
            most = np.pi if name == "start_tilt" else 2 * np.pi
            if getattr(self, name) > most:
                raise ValueError(
                    f"{name}: expected at most {most:.4f} rad, got {getattr(self, name)}"
                )


CALM = Disturbance()
"""Nothing differs from the ideal."""
