"""What a pilot is told of its own state, tick by tick: the truth, if nothing disturbs it."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
from jax import Array

from sim.sensors import (
    Disturbance,
    EstimateMemory,
    StateErrors,
    begin_estimate,
    estimate,
)
from sim.state import State
from sim.twin import PHYSICS_HZ


class Belief:
    """The estimate of the state, of one flight."""

    def __init__(self, disturbance: Disturbance, seed: int, state: State) -> None:
        """Know the state of the start.

        Args:
            disturbance: of which the errors of position, velocity, attitude and spin count here.
            seed: of their draws.
            state: of the drone at the start.
        """
        self._errors = StateErrors.of(disturbance)
        self.exact = self._errors == StateErrors()
        """Whether the estimate is the truth."""
        self._key = np.array([0xE57, seed & 0xFFFFFFFF], np.uint32)
        if not self.exact:
            self._memory = _begin(self._errors, self._key, state)

    def of(self, state: State, tick: int) -> State:
        """What is believed at a tick, as numpy arrays. To be asked at every tick, once.

        Args:
            state: the true one.
            tick: which.
        """
        if self.exact:
            return state
        self._memory, believed = _believe(self._errors, self._memory, self._key, tick, state)
        return believed.as_numpy()


@partial(jax.jit, static_argnums=0)
def _begin(errors: StateErrors, key: Array, state: State) -> EstimateMemory:
    return begin_estimate(errors, jax.random.fold_in(key, 0), state)


@partial(jax.jit, static_argnums=0)
def _believe(
    errors: StateErrors, memory: EstimateMemory, key: Array, tick: int | Array, state: State
) -> tuple[EstimateMemory, State]:
    own = jax.random.fold_in(key, tick + 1)
    return estimate(errors, memory, own, state, 1 / PHYSICS_HZ)
