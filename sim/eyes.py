"""When a pilot sees, and what: sights at a rate, with jitter, delay, noise and losses."""

from __future__ import annotations

import math
from collections import deque
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sim.scene import Scene
from sim.sensors import Disturbance, RayPattern, Sight, look
from sim.state import State
from sim.twin import PHYSICS_HZ


class Eyes:
    """When sights are taken and when they arrive: rate, jitter, delay; and what they show."""

    def __init__(
        self,
        pattern: RayPattern,
        sight_rate: float,
        scene: Scene,
        disturbance: Disturbance,
        seed: int,
    ) -> None:
        """Open the eyes.

        Args:
            pattern: rays to cast.
            sight_rate: sights a second [Hz].
            scene: what there is to see; rays are cast in float32.
            disturbance: noise, losses, jitter and delay.
            seed: of their draws.

        Raises:
            ValueError: if the rate is not positive and finite.
        """
        if not (math.isfinite(sight_rate) and sight_rate > 0):
            raise ValueError(f"sight_rate: expected a positive finite number, got {sight_rate}")
        self._pattern, self._noise = pattern, disturbance
        self._scene = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), scene)
        self._period = 1 / sight_rate
        self._draws = np.random.default_rng([0xE7E, seed])
        self._due = 0.0
        self._taken = -self._period
        self._on_the_way: deque[tuple[float, float, Sight]] = deque()

    def look(self, state: State, now: float) -> tuple[Sight, float] | None:
        """The sight that arrives at this tick, if one does, and the time since the last one.

        Both times are those at which the sights were taken. To be asked at every tick.

        Args:
            state: of the drone now.
            now: simulation time [s].
        """
        if now >= self._due - 1e-9:
            self._on_the_way.append((now + self._noise.delay, now, self.see(state, now)))
            wait = self._period + self._noise.jitter * self._draws.standard_normal()
            self._due = max(self._due + wait, now + 1 / PHYSICS_HZ)
        first = self._on_the_way and (now == 0 or now >= self._on_the_way[0][0] - 1e-9)
        if not first:
            return None
        # A first sight is never late: a flight starts with one.
        _, taken, sight = self._on_the_way.popleft()
        dt, self._taken = max(taken - self._taken, 1 / PHYSICS_HZ), taken
        return sight, dt

    def see(self, state: State, now: float) -> Sight:
        """Cast the rays now, and have them ready."""
        key = np.array([self._draws.integers(1 << 32), round(now * PHYSICS_HZ)], np.uint32)
        return jax.block_until_ready(_look(self._pattern, self._noise, self._scene, state, key))


@partial(jax.jit, static_argnums=(0, 1))
def _look(pattern: RayPattern, noise: Disturbance, scene: Scene, state: State, key: Array) -> Sight:
    return look(pattern, scene, state, noise, key)
