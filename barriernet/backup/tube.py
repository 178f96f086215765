"""How far a bounded disturbance can push a body from the plan that it follows, computed.

The plan is a body without disturbance, y' = z, z' = u. The real one follows it by
u - k (error of y) - d (error of z), held over each tick, and is pushed by a disturbance w(t) with
|w| <= W, of any course, also within a tick: y' = z + tau w, z' = ... + w (see `braking`; tau is the
lag). The error is then linear in w, and its largest length is W times the integral of the absolute
response to a push: a sum that ends, and that the worst disturbance attains.

Tubes around a nominal plan: Mayne, Seron and Rakovic, Automatica 2005.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

STEPS = 32
"""Moments within a tick at which the error is bounded; what lies between is added."""

SETTLING = 2.0
"""Longest time constant of the error [s]."""


@dataclass(frozen=True)
class Tube:
    """What holds a body to its plan, and how closely.

    Attributes:
        disturbance: W, the declared bound of unmodelled acceleration [m/s^2].
        tick: dt, the period of the control [s].
        lag: tau, of the commanded acceleration [s].
        stiffness: k [1/s^2].
        damping: d [1/s].
    """

    disturbance: float
    tick: float
    lag: float = 0.0
    stiffness: float = 100.0
    damping: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what does not hold a body.

        Raises:
            ValueError: naming the field.
        """
        for name, value in vars(self).items():
            least = "not negative" if name in ("disturbance", "lag") else "positive"
            if not (0 <= value < float("inf")) or (value == 0 and least == "positive"):
                raise ValueError(f"{name}: expected a finite number, {least}, got {value}")
        slowest = np.abs(np.linalg.eigvals(self._moved(self.tick))).max()
        if slowest > np.exp(-self.tick / SETTLING):
            raise ValueError(
                f"stiffness, damping: expected gains that settle within {SETTLING} s when applied"
                f" every {self.tick} s, got {self.stiffness}, {self.damping}"
            )

    @cached_property
    def radius(self) -> float:
        """Largest distance of the real point from the planned one, between ticks too [m]."""
        moments = np.linspace(0, self.tick, STEPS + 1)
        point = max(self._largest(self._moved(t)[0], t * t / 2 + self.lag * t) for t in moments)
        speed = max(self._largest(self._moved(t)[1], t) for t in moments)
        # From one moment to the next the error's speed gains less than this.
        step = self.tick / STEPS
        gain = (self.reserve + self.disturbance) * step + self.lag * self.disturbance
        return point + (speed + gain) * step / 2

    @cached_property
    def reserve(self) -> float:
        """Largest correction; plans have to leave it to the tube [m/s^2]."""
        return self._largest(self._gains)

    @property
    def _gains(self) -> Float[np.ndarray, " 2"]:
        return np.array([self.stiffness, self.damping])

    def _moved(self, time: float) -> Float[np.ndarray, "2 2"]:
        """The error after `time` of a tick, from the error at its start."""
        push = np.array([time**2 / 2, time])
        return np.array([[1, time], [0, 1]]) - np.outer(push, self._gains)

    def _largest(self, row: Float[np.ndarray, " 2"], present: float = 0.0) -> float:
        """Largest |row . error at the start of a tick| + W present.

        Args:
            row: of what is asked for.
            present: integral of the absolute response to pushes after the start of the tick.
        """
        total, closed = present, self._moved(self.tick)
        while np.abs(row).max() * self.tick > 1e-18 * max(total, 1e-18):
            # A push at s before the end of its tick leaves the error (s + lag, 1) there.
            total += _integral(float(row[0]), float(row[0] * self.lag + row[1]), self.tick)
            row = row @ closed
        return self.disturbance * total


def _integral(slope: float, start: float, end: float) -> float:
    """Integral of |slope s + start| over s from 0 to end."""
    last = slope * end + start
    if start * last >= 0 or slope == 0:
        return abs(start + last) / 2 * end
    return (start**2 + last**2) / (2 * abs(slope))
