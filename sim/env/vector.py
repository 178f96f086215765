"""Many drones in many worlds at once: all flights of a batch in one compiled step on the twin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from jaxtyping import Bool, Float

from sim.batch import ENDINGS
from sim.env.actions import FAULTS, Actions
from sim.env.config import EnvConfig, config_of
from sim.env.errors import EnvError
from sim.env.observations import Observation, Observations
from sim.env.reward import reward_of
from sim.env.rollout import Flights, advance, begin
from sim.env.tasks import CRASHES, TRUNCATED
from sim.env.worlds import Worlds
from sim.twin import PHYSICS_HZ


class TwinVectorEnv(VectorEnv[Observation, np.ndarray, np.ndarray]):
    """A batch of environments on the twin, equal to as many of `DroneEnv` with `engine="twin"`.

    Made by `gymnasium.make_vec(id, num_envs=n)`, whose default it is; `vectorization_mode="sync"`
    or `"async"` stacks single environments instead. The episode of an environment that ended is
    begun anew by the next step, which ignores its action and gives it a reward of 0 (gymnasium's
    next-step autoreset). A world that was met before is not generated again: a small span of
    `seeds` makes resets cheap.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_modes": []}

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        **options: Any,  # noqa: ANN401 - checked one by one
    ) -> None:
        """Configure; the first worlds are built by the first `reset`.

        Args:
            num_envs: environments in the batch.
            render_mode: None: a batch is not drawn.
            options: the fields of `EnvConfig`; the engine is the twin.

        Raises:
            EnvError: naming the argument that is not right, or that a batch cannot do.
        """
        if isinstance(num_envs, bool) or not isinstance(num_envs, int) or num_envs < 1:
            raise EnvError(f"num_envs: expected 1 or more, got {num_envs!r}")
        if render_mode is not None:
            raise EnvError(f"render_mode: expected None for a batch, got {render_mode!r}")
        self.config = config_of(**{"engine": "twin", **options})
        _require_batchable(self.config)
        self.num_envs, self.render_mode = num_envs, None
        self._compiled = self.config.compiled()
        self._actions, self._observations = Actions(self.config), Observations(self.config)
        self.single_action_space = self._actions.space
        self.single_observation_space = self._observations.space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._worlds = Worlds(self.config, num_envs)
        self._draws = [np.random.default_rng() for _ in range(num_envs)]
        self._flights: Flights | None = None

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in each environment.

        Args:
            seed: one for each environment, or that of the first, the others following on; the
                world of a seed is that of `EnvConfig.world_seed`.
            options: `reset_mask`: only these environments, `[n]` of bool.

        Raises:
            EnvError: for a wrong number of seeds, an unknown option, or a mask that is none.
        """
        seeds = _seeds(seed, self.num_envs)
        chosen = self._mask(options or {})
        for row in np.flatnonzero(chosen):
            if seeds[row] is not None:
                self._draws[row], _ = seeding.np_random(seeds[row])
        nothing = np.zeros((self.num_envs, 4))
        self._advance(nothing, np.zeros(self.num_envs, bool), chosen, seeds)
        return self._observed(), self._info(np.zeros(self.num_envs, int))

    def step(
        self, actions: object
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step of every environment; a new episode where the last one had ended.

        Raises:
            ActionError: for actions of the wrong shape, or not of real numbers.
            EnvError: before `reset`.
        """
        commands, faults = self._actions.admit(actions, (self.num_envs, 4))
        if self._flights is None:
            raise EnvError("reset: expected before anything else, and after close")
        resets = self._outcome > 0
        faults = np.where(resets, 0, faults)
        before, began = self._to_go, self._ticks
        self._advance(commands, ~resets, resets, [None] * self.num_envs)
        self._violations += faults > 0
        rewards = reward_of(
            self.config.reward,
            before - self._to_go,
            (self._ticks - began) / PHYSICS_HZ,
            self._outcome == ENDINGS.index("reached"),
            np.isin(self._outcome, [ENDINGS.index(name) for name in CRASHES]),
        )
        late = self._outcome == ENDINGS.index(TRUNCATED)
        over = (self._outcome > 0) & ~late
        return self._observed(), np.where(resets, 0.0, rewards), over, late, self._info(faults)

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ANN401 - gymnasium's own
        """Forget worlds and flights."""
        self._flights, self._worlds = None, Worlds(self.config, self.num_envs)

    def _advance(
        self,
        commands: Float[np.ndarray, "n 4"],
        moves: Bool[np.ndarray, " n"],
        resets: Bool[np.ndarray, " n"],
        seeds: list,
    ) -> None:
        """Fly one control step where `moves`, start again where `resets`, and look there."""
        rows = np.flatnonzero(resets).tolist()
        self._worlds.put({row: self._next_world(row, seeds[row]) for row in rows})
        settings = self._worlds.stack
        if self._flights is None:
            self._flights = begin(self._compiled, settings)
            self._violations = np.zeros(self.num_envs, int)
            self._eyes = [np.random.default_rng()] * self.num_envs
        for row in rows:
            self._violations[row] = 0
            self._eyes[row] = np.random.default_rng([0xE7E, self._worlds.seeds[row]])
        looks = moves | resets
        both = zip(self._eyes, looks, strict=True)
        words = np.array([_word(eyes) if look else 0 for eyes, look in both], np.uint32)
        self._flights, view = advance(
            self._compiled, settings, self._flights, commands, moves, resets, words
        )
        view = jax.tree.map(np.asarray, view)
        if not looks.all():
            view = jax.tree.map(partial(_rows_where, looks), view, self._view)
        self._view = view
        self._to_go, self._ticks = view.to_go.astype(np.float64), np.array(self._flights.tick)
        self._outcome = np.array(self._flights.outcome)

    def _next_world(self, row: int, seed: int | None) -> int:
        drawn = int(self._draws[row].integers(1 << 31)) if seed is None else seed
        return self.config.world_seed(drawn)

    def _mask(self, options: dict[str, Any]) -> Bool[np.ndarray, " n"]:
        for name in options:
            if name != "reset_mask":
                raise EnvError(f"options.{name}: expected reset_mask")
        mask = options.get("reset_mask", np.ones(self.num_envs, bool))
        if not (
            isinstance(mask, np.ndarray)
            and mask.dtype == np.bool_
            and mask.shape == (self.num_envs,)
            and mask.any()
        ):
            raise EnvError(
                f"options.reset_mask: expected {self.num_envs} booleans, one true, got {mask!r}"
            )
        if self._flights is None and not mask.all():
            raise EnvError("options.reset_mask: expected all of them the first time")
        return mask

    def _observed(self) -> Observation:
        return self._observations.pack(self._view.seen, self._view.ranges, self._view.valid)

    def _info(self, faults: np.ndarray) -> dict[str, Any]:
        """The `info` of each environment, an array a name; see `DroneEnv`."""
        flights = self._flights
        assert flights is not None
        names = np.array(ENDINGS, object)
        info: dict[str, Any] = {
            "outcome": names[self._outcome],
            "position": np.array(flights.twin.body.position, np.float64),
            "time": self._ticks / PHYSICS_HZ,
            "contact": np.array(flights.contact),
            "fault": np.array(FAULTS, object)[faults],
            "limit_violations": self._violations.copy(),
            "world_seed": np.array(self._worlds.seeds),
        }
        known = {f"_{name}": np.ones(self.num_envs, bool) for name in info}
        return info | known


def _rows_where(chosen: Bool[np.ndarray, " n"], one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The chosen rows of one array, and those of another."""
    return np.where(chosen.reshape(-1, *[1] * (one.ndim - 1)), one, other)


def _word(eyes: np.random.Generator) -> int:
    """The next random bits of a flight's eyes, from the same stream as those of `sim.eyes`."""
    word = int(eyes.integers(1 << 32))
    eyes.standard_normal()  # the jitter, which a batch has none of
    return word


def _seeds(seed: int | Sequence[int | None] | None, count: int) -> list[int | None]:
    if seed is None:
        return [None] * count
    if isinstance(seed, int | np.integer):
        return [int(seed) + row for row in range(count)]
    if len(seed) != count:
        raise EnvError(f"seed: expected {count} of them, got {len(seed)}")
    return list(seed)


def _require_batchable(config: EnvConfig) -> None:
    """Refuse what only single environments do.

    Raises:
        EnvError: naming the field.
    """
    if config.engine != "twin":
        raise EnvError(
            f"engine: expected 'twin' for a batch, got {config.engine!r} "
            "(vectorization_mode='sync' or 'async' takes either)"
        )
    config.require_simple_disturbance()
