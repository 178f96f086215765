"""Many worlds as one stack of arrays, of which single rows are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Float

from sim.env.config import EnvConfig
from sim.env.errors import EnvError
from sim.env.tasks import Way, way_of
from sim.families import FAMILIES
from sim.flight import Conditions, pad_of
from sim.mission import Mission, mission_of
from sim.scene import Counts, with_velocities
from sim.state import AnyArray

KEPT = 1024
"""Worlds whose arrays are kept: a small span of seeds is made once."""


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Setting:
    """What a flight depends on besides its actions, or a stack of it.

    Attributes:
        mission: world and task.
        way: over the targets.
        wind: velocity of the air [m/s], world frame, `[*batch, 3]`.
        mass_scale: true mass and inertia over the airframe's, `[*batch]`.
    """

    mission: Mission
    way: Way
    wind: Float[AnyArray, "*batch 3"]
    mass_scale: Float[AnyArray, "*batch"]


class Worlds:
    """A stack of worlds."""

    def __init__(self, config: EnvConfig, count: int) -> None:
        """No worlds yet.

        Args:
            config: of the environments.
            count: of worlds in the stack.
        """
        self._stack: Setting | None = None
        self._config, self._seeds = config, [-1] * count
        self._room: Counts = (0, 0, 0)
        self._setting = lru_cache(maxsize=max(KEPT, count))(self._new_setting)

    @property
    def stack(self) -> Setting:
        """All worlds.

        Raises:
            EnvError: before the first `put`.
        """
        if self._stack is None:
            raise EnvError("reset: expected before anything else, and after close")
        return self._stack

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the worlds of the stack."""
        return tuple(self._seeds)

    def put(self, rows: Mapping[int, int]) -> None:
        """Replace rows of the stack; the first time it must be all of them.

        Args:
            rows: the seed of the world for each row.
        """
        rows = {row: seed for row, seed in rows.items() if self._seeds[row] != seed}
        for row, seed in rows.items():
            self._seeds[row] = seed
        if not rows:
            return
        pads = [pad_of(self._config.world_of(seed)) for seed in rows.values()]
        room = tuple(max(counts) for counts in zip(self._room, *pads, strict=True))
        fresh = [self._setting(seed, room) for seed in rows.values()]
        stack, points = self._stack, max(one.way.rest.shape[-1] for one in fresh)
        fits = stack is not None and room == self._room and points <= stack.way.rest.shape[-1]
        self._room = room
        # Putting one row is cheaper than putting all, until there are many.
        if stack is None or not fits or 4 * len(rows) > len(self._seeds):
            self._stack = _stacked([self._setting(seed, room) for seed in self._seeds])
            return
        for row, one in zip(rows, fresh, strict=True):
            stack = _put(stack, row, _lengthened(one, stack.way.rest.shape[-1]))
        self._stack = stack

    def _new_setting(self, seed: int, room: Counts) -> Setting:
        """One world as numpy arrays, with room for so many obstacles."""
        dtype = jax.dtypes.canonicalize_dtype(np.float64)
        mission = mission_of(self._config.world_of(seed), dtype, room)
        if FAMILIES[self._config.family].moves:
            # All of a stack have velocities: also a world that happens to have no obstacle.
            mission = replace(mission, scene=with_velocities(mission.scene))
        mission = jax.tree.map(np.asarray, mission)
        conditions = Conditions.draw(self._config.disturbance, seed)
        scale = np.array(conditions.mass_scale, dtype)
        return Setting(mission, way_of(mission), np.array(conditions.wind, dtype), scale)


def _stacked(settings: Sequence[Setting]) -> Setting:
    """One setting with a leading axis."""
    points = max(one.way.rest.shape[-1] for one in settings)
    alike = [_lengthened(one, points) for one in settings]
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *alike)


def _lengthened(setting: Setting, points: int) -> Setting:
    """The setting with as many targets, the last one repeated."""
    row = np.minimum(np.arange(points), setting.way.rest.shape[-1] - 1)
    way = Way(setting.way.targets[row], setting.way.rest[row])
    return replace(setting, mission=replace(setting.mission, targets=way.targets), way=way)


@partial(jax.jit, donate_argnums=0)
def _put(stack: Setting, row: int | Array, one: Setting) -> Setting:
    return jax.tree.map(lambda whole, part: whole.at[row].set(part), stack, one)
