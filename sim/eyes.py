"""When a pilot sees, and what: sights at a rate, with jitter, delay, noise and losses."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from sim.scene import Scene, scene_at
from sim.sensors import Disturbance, RayFan, Sight, begin_blemish, blemish, look, range_errors
from sim.sensors.errors import Models
from sim.state import State
from sim.twin import PHYSICS_HZ


class Eyes:
    """When sights are taken and when they arrive: rate, jitter, delay; and what they show."""

    def __init__(
        self,
        pattern: RayFan,
        sight_rate: float,
        scene: Scene,
        disturbance: Disturbance,
        seed: int,
    ) -> None:
        """Open the eyes.

        Args:
            pattern: rays to cast.
            sight_rate: sights a second [Hz].
            scene: what there is to see, as it stands at the time of each sight; rays are cast in
                float32.
            disturbance: noise, losses, lasting errors of the rays, jitter and delay.
            seed: of their draws.

        Raises:
            ValueError: if the rate is not positive and finite.
        """
        if not (math.isfinite(sight_rate) and sight_rate > 0):
            raise ValueError(f"sight_rate: expected a positive finite number, got {sight_rate}")
        self._pattern, self._delay, self._jitter = pattern, disturbance.delay, disturbance.jitter
        # No more than `look` uses: what else there is must not have it compiled again.
        self._noise = Disturbance(range_noise=disturbance.range_noise, drop=disturbance.drop)
        self._scene = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), scene)
        self._period = 1 / sight_rate
        self._draws = np.random.default_rng([0xE7E, seed])
        self._models = range_errors(disturbance, pattern)
        self._key = np.array([0xB1A5, seed & 0xFFFFFFFF], np.uint32)
        self._blemishes: Any = None
        self._seen = 0.0
        self._due = 0.0
        self._taken = -self._period
        self._on_the_way: deque[tuple[float, float, Sight]] = deque()

    def look(
        self, state: State, now: float, believed: State | None = None
    ) -> tuple[Sight, float] | None:
        """The sight that arrives at this tick, if one does, and the time since the last one.

        Both times are those at which the sights were taken. To be asked at every tick.

        Args:
            state: of the drone now.
            now: simulation time [s].
            believed: the drone's estimate of it; the state itself if None.
        """
        if now >= self._due - 1e-9:
            sight = self.see(state, now, believed)
            self._on_the_way.append((now + self._delay, now, sight))
            wait = self._period + self._jitter * self._draws.standard_normal()
            self._due = max(self._due + wait, now + 1 / PHYSICS_HZ)
        first = self._on_the_way and (now == 0 or now >= self._on_the_way[0][0] - 1e-9)
        if not first:
            return None
        # A first sight is never late: a flight starts with one.
        _, taken, sight = self._on_the_way.popleft()
        dt, self._taken = max(taken - self._taken, 1 / PHYSICS_HZ), taken
        return sight, dt

    def see(self, state: State, now: float, believed: State | None = None) -> Sight:
        """Cast the rays now, and have them ready; arguments as those of `look`."""
        key = np.array([self._draws.integers(1 << 32), round(now * PHYSICS_HZ)], np.uint32)
        time = None if self._scene.velocities is None else now
        sight = jax.block_until_ready(
            _look(self._pattern, self._noise, self._scene, state, key, time)
        )
        sight = self._spoilt(sight, now) if self._models else sight
        return sight if believed is None else replace(sight, state=believed.as_jax())

    def _spoilt(self, sight: Sight, now: float) -> Sight:
        """The sight with the errors that last from sight to sight."""
        if self._blemishes is None:
            self._blemishes = _begin(self._models, self._key, sight)
        wait, self._seen = now - self._seen, now
        tick, reach = round(now * PHYSICS_HZ), self._pattern.max_range
        self._blemishes, sight = _blemish(
            self._models, reach, self._blemishes, self._key, tick, sight, wait
        )
        return jax.block_until_ready(sight)


@partial(jax.jit, static_argnums=(0, 1))
def _look(
    pattern: RayFan,
    noise: Disturbance,
    scene: Scene,
    state: State,
    key: Array,
    time: float | Array | None,
) -> Sight:
    return look(pattern, scene_at(scene, time), state, noise, key)


@partial(jax.jit, static_argnums=0)
def _begin(models: Models, key: Array, sight: Sight) -> Any:  # noqa: ANN401 - the models' own
    return begin_blemish(models, jax.random.fold_in(key, 0), sight)


@partial(jax.jit, static_argnums=(0, 1))
def _blemish(
    models: Models,
    max_range: float,
    memory: Any,  # noqa: ANN401
    key: Array,
    tick: int | Array,
    sight: Sight,
    wait: float | Array,
) -> tuple[Any, Sight]:
    own = jax.random.fold_in(key, tick + 1)
    return blemish(models, memory, own, sight, max_range, wait)
