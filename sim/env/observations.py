"""Observations: what an agent sees, and the space that always holds it.

| part | entries |
|---|---|
| `ranges` | distance along each ray [m], its pattern's range where nothing is, -1 where lost |
| `state` | velocity in body axes [m/s], up in body axes, body rates [rad/s], height [m]: 10 |
| `target` | the next point to reach, from the drone, in body axes [m]: 3 |

float32; flat: one after the other, in this order (that of `gymnasium.spaces.flatten`). Nothing
tells where in the world the drone is, so what is learned in one place holds in another
(`info["position"]` tells). What lies beyond a bound of the space is clipped to it.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from gymnasium import spaces
from jaxtyping import Float

from sim.env.config import EnvConfig
from sim.shapes.arrays import namespace
from sim.state import AnyArray, State, conjugate, rotate_inverse, up_of

Observation: TypeAlias = dict[str, Float[np.ndarray, "..."]] | Float[np.ndarray, "..."]

MOST_SPEED, MOST_RATE, MOST_HEIGHT, MOST_WAY = 20.0, 40.0, 50.0, 300.0
"""Bounds of velocities [m/s], body rates [rad/s], height [m] and of the way to the target [m]."""
LOST = -1.0
"""What a ray reads whose return was lost."""


class Observations:
    """The observations of a configuration.

    Attributes:
        space: of an observation.
    """

    def __init__(self, config: EnvConfig) -> None:
        """Know the space of `config`."""
        self._flat = config.observation == "flat"
        # In the order in which gymnasium flattens them.
        high = {
            "ranges": [config.rays.max_range] * config.rays.count,
            "state": [MOST_SPEED] * 3 + [1.0] * 3 + [MOST_RATE] * 3 + [MOST_HEIGHT],
            "target": [MOST_WAY] * 3,
        }
        self._high = {name: np.array(most, np.float32) for name, most in high.items()}
        self._low = {name: -most for name, most in self._high.items()}
        self._low["ranges"] = np.full(config.rays.count, LOST, np.float32)
        parts: dict[str, spaces.Space] = {
            name: spaces.Box(self._low[name], most, dtype=np.float32)
            for name, most in self._high.items()
        }
        self.space: spaces.Space = spaces.Dict(parts)
        if self._flat:
            self.space = spaces.Box(
                np.concatenate(list(self._low.values())),
                np.concatenate(list(self._high.values())),
                dtype=np.float32,
            )

    def pack(
        self,
        seen: Float[AnyArray, "*batch 13"],
        ranges: Float[AnyArray, "*batch rays"],
        valid: AnyArray,
    ) -> Observation:
        """An observation (or a batch of them) inside its space, new arrays each time.

        Args:
            seen: state and target, of `see`.
            ranges: distance along each ray [m].
            valid: False where the return of a ray was lost.
        """
        seen = np.nan_to_num(np.asarray(seen, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        ranges = np.where(np.asarray(valid), np.asarray(ranges), LOST)
        parts = {"ranges": ranges, "state": seen[..., :10], "target": seen[..., 10:]}
        packed = {
            name: np.clip(part, self._low[name], self._high[name]).astype(np.float32)
            for name, part in parts.items()
        }
        return np.concatenate(list(packed.values()), axis=-1) if self._flat else packed


def see(state: State, target: Float[AnyArray, "*batch 3"]) -> Float[AnyArray, "*batch 13"]:
    """State and target as an agent sees them, not yet clipped; numpy or jax.

    Args:
        state: of the drone, as it believes it to be.
        target: the next point to reach, world frame [m].
    """
    xp = namespace(target)
    parts = [
        rotate_inverse(state.quaternion, state.velocity),
        up_of(conjugate(state.quaternion)),
        state.angular_velocity,
        state.position[..., 2:],
        rotate_inverse(state.quaternion, target - state.position),
    ]
    return xp.concatenate(parts, axis=-1)
