"""When a flight is over, and why."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from sim.mission import Mission
from sim.state import AnyArray


class Referee:
    """Which targets were passed, and whether the flight is over."""

    def __init__(self, mission: Mission) -> None:
        """Know the mission by heart, as plain numbers."""
        self._targets = np.asarray(mission.targets, float)[: int(mission.target_count)]
        self._radius = float(mission.target_radius)
        self._limit = float(mission.time_limit)
        self._low, self._high = np.asarray(mission.bounds, float)
        self._leg = 0

    @property
    def leg(self) -> int:
        """Index of the next point to reach; that of the target, once it is reached."""
        return min(self._leg, len(self._targets) - 1)

    def outcome(self, position: Float[AnyArray, " 3"], contact: bool, now: float) -> str:
        """Why the flight is over, or an empty string.

        Args:
            position: of the drone after a tick [m].
            contact: whether it touches a solid there.
            now: simulation time after the tick [s].
        """
        position = np.asarray(position)
        if contact:
            return "contact"
        # Written so that nan fails it.
        if not ((position >= self._low).all() and (position <= self._high).all()):
            return "out_of_bounds"
        if np.linalg.norm(position - self._targets[self._leg]) < self._radius:
            self._leg += 1
            if self._leg == len(self._targets):
                return "reached"
        return "timeout" if now >= self._limit else ""
