"""Gusts by the Dryden model: MIL-F-8785C (1980), 3.7, low altitude (below 1,000 ft).

The wind is white noise through three filters of the air path V t, with one-sided spectra

    along:  2 s^2 L / (pi V) / (1 + x^2)
    across and up:  s^2 L / (pi V) (1 + 3 x^2) / (1 + x^2)^2     with x = L w / V

of scale length L and intensity s, which are functions of the height and of the wind speed at 20 ft
(6 m). Both filters are stepped exactly: at the ticks the gust has the model's own covariances,
whatever the length of the tick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from jaxtyping import Float

FOOT = 0.3048
"""[m]"""

LOWEST, HIGHEST = 10.0, 1000.0
"""Heights that the low-altitude model is for [ft]; what is beyond counts as these."""


@dataclass(frozen=True)
class Dryden:
    """Turbulence seen by what moves through it.

    Attributes:
        lengths: scale lengths along the wind, across it and up [m].
        intensities: standard deviations of the gusts along, across and up [m/s].
        airspeed: at which the air passes by [m/s].
    """

    lengths: tuple[float, float, float]
    intensities: tuple[float, float, float]
    airspeed: float

    def __post_init__(self) -> None:
        """Refuse turbulence that is none.

        Raises:
            ValueError: naming the field.
        """
        for name in ("lengths", "intensities"):
            values = getattr(self, name)
            if len(values) != 3 or not all(math.isfinite(x) and x >= 0 for x in values):
                raise ValueError(f"{name}: expected 3 finite numbers >= 0, got {values}")
        if not all(self.lengths):
            raise ValueError(f"lengths: expected positive ones, got {self.lengths}")
        if not (math.isfinite(self.airspeed) and self.airspeed > 0):
            raise ValueError(f"airspeed: expected a positive number, got {self.airspeed}")


def dryden_low_altitude(height: float, wind_at_6_m: float, airspeed: float) -> Dryden:
    """The turbulence at a height, by MIL-F-8785C figures 10 and 11.

    Args:
        height: above the ground [m]; 10 ft below that, 1,000 ft above that.
        wind_at_6_m: mean wind speed at 20 ft [m/s].
        airspeed: [m/s].

    Raises:
        ValueError: for a number that is not finite, or a speed below zero.
    """
    if not math.isfinite(height):
        raise ValueError(f"height: expected a finite number, got {height}")
    feet = min(max(height / FOOT, LOWEST), HIGHEST)
    rough = 0.177 + 0.000823 * feet
    level, up = feet / rough**1.2 * FOOT, feet * FOOT
    strong = 0.1 * wind_at_6_m
    return Dryden((level, level, up), (strong / rough**0.4, strong / rough**0.4, strong), airspeed)


def dryden(
    turbulence: Dryden, ticks: int, dt: float, draws: np.random.Generator
) -> Float[np.ndarray, "ticks 3"]:
    """Gusts at each tick: along the wind, across it (to the left) and up [m/s].

    Args:
        turbulence: what it is like.
        ticks: how many.
        dt: time between two [s].
        draws: the source of random numbers; the first gust is drawn from the stationary ones, and
            more ticks begin with the same gusts.
    """
    shares = [dt * turbulence.airspeed / length for length in turbulence.lengths]
    white = draws.standard_normal((ticks, 5))
    along = _first_order(shares[0], white[:, 0])
    across, up = _second_order(shares[1], white[:, 1:3]), _second_order(shares[2], white[:, 3:])
    return np.stack([along, across, up], axis=-1) * turbulence.intensities


def _first_order(step: float, white: Float[np.ndarray, " ticks"]) -> Float[np.ndarray, " ticks"]:
    """White noise through 1 / (1 + s), at unit variance, every `step` of its time constant."""
    kept = math.exp(-step)
    drive = math.sqrt(-math.expm1(-2 * step)) * white
    drive[:1] = white[:1]
    return _decayed(kept, drive)


def _second_order(step: float, white: Float[np.ndarray, "ticks 2"]) -> Float[np.ndarray, " ticks"]:
    """White noise through (1 + sqrt(3) s) / (1 + s)^2, at unit variance.

    By the states p = n / (1 + s) and q = p / (1 + s): the answer is sqrt(3) p + (1 - sqrt(3)) q,
    and with noise of unit intensity p and q have the covariance [[1/2, 1/4], [1/4, 1/4]].
    """
    kept = math.exp(-step)
    noise = white @ _root_of_covariance(step).T
    noise[:1] = white[:1] @ np.array([[math.sqrt(0.5), 0.0], [math.sqrt(0.125)] * 2]).T
    p = _decayed(kept, noise[:, 0])
    # q decays alike, and is fed by what p was.
    q = _decayed(kept, noise[:, 1] + np.concatenate([[0.0], kept * step * p[:-1]])[: len(p)])
    return math.sqrt(3) * p + (1 - math.sqrt(3)) * q


def _root_of_covariance(step: float) -> Float[np.ndarray, "2 2"]:
    """Cholesky factor of what the noise adds to p and q in one step.

    The covariance is the integral of (1, s)(1, s)^T exp(-2 s) over the step; in closed form its
    parts cancel for a short step, so it is summed over a Gauss-Legendre rule (10 points).
    """
    nodes, weights = np.polynomial.legendre.leggauss(10)
    times = step * (nodes + 1) / 2
    powers = np.stack([np.ones_like(times), times])
    covariance = (powers * (weights * step / 2 * np.exp(-2 * times))) @ powers.T
    first = math.sqrt(covariance[0, 0])
    mixed = covariance[0, 1] / first
    # The determinant, as the variance of the time about its mean: nothing cancels.
    density = weights * np.exp(-2 * times) / (weights * np.exp(-2 * times)).sum()
    spread = (density * (times - density @ times) ** 2).sum() * covariance[0, 0]
    return np.array([[first, 0.0], [mixed, math.sqrt(spread)]])


def _decayed(kept: float, drive: Float[np.ndarray, " ticks"]) -> Float[np.ndarray, " ticks"]:
    """Each value is `kept` times the one before, and its own drive."""
    return np.array(list(accumulate(drive.tolist(), lambda last, more: kept * last + more)))
