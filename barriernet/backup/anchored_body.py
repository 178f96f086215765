"""Anchored braking: a double integrator among balls, pushed by a wind, that never hits one.

The rows of the braking path keep a body clear that goes where it is told. A real one is pushed,
and one that merely brakes drifts: pushed a little in every tick, it is never far from rest and
never at rest. So what is filtered is a plan: a body without disturbance, exact in sampled time,
kept in memory. Where the plan stops is the anchor. The real body follows it within a tube whose
radius is computed (`Tube`), and the tube is part of the obstacles.

What holds, for a double integrator whose control is held over each tick and |wind| <= W:

1. The plan's braking path stays out of every ball of `radii` + `keep_out` for ever, if it was out
   at the start: every control is tried before it is sent (`draw_back`), the backup passes always.
2. Between ticks the plan leaves its path by at most (|u| / 2 + a / 8) dt^2 (`between`), and the
   body leaves the plan by at most the tube's radius. Both are in `keep_out`: the body stays
   out of every ball of `radii`, by `margin`.
3. The control stays inside the limits, bit for bit, and no limit cuts the correction: plans leave
   it its reserve.
4. A plan at rest stays where it is, without creeping; a plan that is inside (an obstacle appeared)
   is driven out at `rate`, as the limits allow, and is never drawn deeper.

Outside the declared bound nothing is proved; the plan is then dragged along (`leash`), so that what
the barrier looks at stays near the body, and the report says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from barriernet.backup.braking import Braking
from barriernet.backup.tube import Tube


@dataclass(frozen=True)
class AnchoredBraking:
    """A body that brakes against a declared disturbance.

    Attributes:
        limit: largest control along each axis [m/s^2].
        tube: the declared disturbance, the tick, the lag, and how hard the plan is followed.
        margin: clearance that is kept under the declared disturbance [m].
        inner: see `Braking` [m].
        leash: how far the plan may be from the body, in radii of the tube.
    """

    limit: tuple[float, ...]
    tube: Tube
    margin: float = 0.0
    inner: float = 0.03
    leash: float = 3.0

    def __post_init__(self) -> None:
        """Refuse limits that cannot brake against the disturbance.

        Raises:
            ValueError: naming the field.
        """
        if not (self.limit and all(self.tube.reserve < at < float("inf") for at in self.limit)):
            raise ValueError(
                f"limit: expected finite numbers above {self.tube.reserve:.3g} m/s^2, which the "
                f"tube needs for itself, got {self.limit}"
            )
        if not 0 <= self.margin < float("inf"):
            raise ValueError(f"margin: expected a finite number, not negative, got {self.margin}")
        if not self.leash >= 1:
            raise ValueError(f"leash: expected at least 1, got {self.leash}")

    @property
    def braking(self) -> Braking:
        """The backup of the plan."""
        least = min(self.limit) - self.tube.reserve
        return Braking(least, self.tube.lag, self.tube.tick, self.inner)

    @property
    def between(self) -> float:
        """How far a plan may leave its path between two ticks [m]."""
        wildest = math.hypot(*(at - self.tube.reserve for at in self.limit))
        return (wildest / 2 + self.braking.deceleration / 8) * self.tube.tick**2

    @property
    def keep_out(self) -> float:
        """How far plans keep from what the body must not touch [m]."""
        return self.margin + self.tube.radius + self.between

    @property
    def cushion(self) -> float:
        """How far the rows keep away from where a control would be drawn back [m].

        What a linear row may miss in one tick: a stop point lies w (sqrt(w^2 + t^2) + a dt) / (2 a)
        ahead, a row is its tangent in t, whose second derivative is at most 1 / (2 a), and takes
        the next point from the backup's control. With |u - u_backup| <= c that is
        c^2 dt^2 / (4 a) + c dt^2 / 2.
        """
        a, dt = self.braking.deceleration, self.tube.tick
        change = math.hypot(*(at - self.tube.reserve for at in self.limit)) + a
        return change**2 * dt**2 / (4 * a) + change * dt**2 / 2
