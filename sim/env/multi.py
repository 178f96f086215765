"""Many drones in one world as a PettingZoo `ParallelEnv`; see `sim.env.parallel_env`.

Each drone is an agent with the actions, observations, rewards and
`info` of `DroneEnv`. Drones see each other with their rays, as the spheres that they are in
collisions, and collide with each other. They start around the world's start and fly to the same
target; one that has arrived, or crashed, has left the world.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from jaxtyping import Bool, Float

from sim.clearances import clearance
from sim.engine import EngineError
from sim.env.actions import FAULTS, Actions, in_floats
from sim.env.config import config_of
from sim.env.errors import ActionError, EnvError
from sim.env.extras import optional
from sim.env.lookout import look_around
from sim.env.observations import Observation, Observations, see
from sim.env.reward import reward_of
from sim.env.tasks import CRASHES, FLYING, TRUNCATED, Way, way_of, way_to_go
from sim.flight import Conditions, pad_of
from sim.mission import Mission, mission_of
from sim.referee import Referee
from sim.state import State, at_rest
from sim.swarm import BulletSwarm
from sim.twin import PHYSICS_HZ
from sim.world import World

ParallelEnv: Any = optional("pettingzoo", "swarm").ParallelEnv

RING_RADIUS, RING = 0.6, 8
"""Radius of the rings around the start that the drones start on [m], and places on each."""
LAYERS = (0.0, -0.35, 0.35)
"""Heights of the rings over the start [m]."""


class SwarmEnv(ParallelEnv):
    """Drones that fly to one target, past obstacles and each other, in PyBullet."""

    metadata: dict[str, Any] = {"name": "lnn_nav_swarm_v0", "render_modes": []}
    render_mode = None

    def __init__(
        self,
        drones: int = 4,
        **options: Any,  # noqa: ANN401 - checked one by one
    ) -> None:
        """Configure; the first world is built by the first `reset`.

        Args:
            drones: 1 to 24.
            options: the fields of `EnvConfig`; the engine is PyBullet.

        Raises:
            EnvError: naming the argument that is not right.
        """
        most = RING * len(LAYERS)
        if isinstance(drones, bool) or not isinstance(drones, int) or not 1 <= drones <= most:
            raise EnvError(f"drones: expected 1 to {most}, got {drones!r}")
        self.config = config_of(**options)
        if self.config.engine != "pybullet":
            raise EnvError(f"engine: expected 'pybullet', got {self.config.engine!r}")
        self.config.require_simple_disturbance()
        self.config.require_plain_physics()
        self.possible_agents = [f"drone_{i}" for i in range(drones)]
        self.agents: list[str] = []
        self._actions, self._observations = Actions(self.config), Observations(self.config)
        self._draws = np.random.default_rng()
        self._swarm: BulletSwarm | None = None
        self._seed = -1

    def action_space(self, agent: str) -> spaces.Space:
        """The same for all; see `sim.env.actions`."""
        return self._actions.space

    def observation_space(self, agent: str) -> spaces.Space:
        """The same for all; see `sim.env.observations`."""
        return self._observations.space

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Begin an episode.

        Args:
            seed: as in `DroneEnv.reset`.
            options: nobody looks at them.

        Raises:
            EnvError: the world has no room for the drones at its start.
        """
        if seed is not None:
            self._draws, _ = seeding.np_random(seed)
        drawn = int(self._draws.integers(1 << 31)) if seed is None else seed
        self._move_to(self.config.world_seed(drawn))
        count = len(self.possible_agents)
        self.agents = list(self.possible_agents)
        self._referees = [Referee(self._mission) for _ in range(count)]
        self._outcomes, self._violations = [FLYING] * count, [0] * count
        self._noise = np.random.default_rng([0xE7E, self._seed])
        self._tick = 0
        self._to_go = [self._way_to_go(i) for i in range(count)]
        return self._told(range(count), np.zeros(count, bool), [0] * count)

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Any]]:
        """Fly all drones for one control step.

        Args:
            actions: of every agent in `agents`.

        Raises:
            ActionError: an action is missing, of the wrong shape, or not of real numbers.
            EngineError: the physics server is gone; `reset` starts another.
        """
        if not self.agents:
            return {}, {}, {}, {}, {}
        flying = [self.possible_agents.index(name) for name in self.agents]
        commands, faults = self._admit(actions)
        began, contacts = self._tick, self._fly(commands)
        rewards, over, late = {}, {}, {}
        for i in flying:
            name, outcome = self.possible_agents[i], self._outcomes[i]
            before, self._to_go[i] = self._to_go[i], self._way_to_go(i)
            self._violations[i] += bool(faults[i])
            rewards[name] = float(
                reward_of(
                    self.config.reward,
                    before - self._to_go[i],
                    (self._ticks[i] - began) / PHYSICS_HZ,
                    outcome == "reached",
                    outcome in CRASHES,
                )
            )
            late[name] = outcome == TRUNCATED
            over[name] = outcome != FLYING and not late[name]
        observations, infos = self._told(flying, contacts, faults)
        self.agents = [name for name in self.agents if not (over[name] or late[name])]
        return observations, rewards, over, late, infos

    def close(self) -> None:
        """Give back the engine. Closing twice is fine."""
        if self._swarm is not None:
            self._swarm.close()
        self._swarm, self._seed, self.agents = None, -1, []

    def _move_to(self, world_seed: int) -> None:
        """Stand at the start of a world; build it if it is another one, or its engine is dead."""
        if self._swarm is not None and self._seed == world_seed:
            try:
                self._states = self._swarm.reset(self._starts)
            except EngineError:
                self.close()
            else:
                return
        self.close()
        config, count = self.config, len(self.possible_agents)
        world = config.world_of(world_seed)
        self._starts = starts(world, count, config.airframe.collision_radius)
        conditions = Conditions.draw(config.disturbance, world_seed)
        self._mission: Mission = mission_of(world, np.float32, pad_of(world))
        self._way: Way = way_of(mission_of(world, np.float64))
        self._swarm = BulletSwarm(
            config.airframe,
            world,
            count,
            mass_scale=conditions.mass_scale,
            wind=conditions.wind,
        )
        self._seed, self._states = world_seed, self._swarm.reset(self._starts)

    def _admit(self, actions: dict[str, Any]) -> tuple[Float[np.ndarray, "n 4"], list[int]]:
        """Commands and faults of all drones; those that have left hover, for what it is worth."""
        commands, faults = np.tile(self._actions.still, (len(self.possible_agents), 1)), []
        for i, name in enumerate(self.possible_agents):
            fault = 0
            if name in self.agents:
                if name not in actions:
                    raise ActionError(f"action: expected one of {name}, got {list(actions)}")
                commands[i], fault = self._actions.admit(actions[name])
            faults.append(int(fault))
        return commands, faults

    def _fly(self, commands: Float[np.ndarray, "n 4"]) -> Bool[np.ndarray, " n"]:
        """Tick through the control step; which drones ended it in contact."""
        swarm = self._opened()
        count, ended = swarm.count, np.zeros(swarm.count, bool)
        self._ticks, wished = [self._tick] * count, commands.tolist()
        for _ in range(self.config.ticks):
            if not swarm.flying.any():
                break
            forces = np.zeros((count, 4))
            for i in np.flatnonzero(swarm.flying).tolist():
                forces[i] = self._actions.controller(in_floats(_row(self._states, i)), wished[i])
            self._states, contacts = swarm.step(forces)
            self._tick += 1
            for i in np.flatnonzero(swarm.flying).tolist():
                self._ticks[i] = self._tick
                position, now = self._states.position[i], self._tick / PHYSICS_HZ
                outcome = self._referees[i].outcome(position, bool(contacts[i]), now)
                if outcome:
                    self._outcomes[i], ended[i] = outcome, contacts[i]
                    swarm.leave(i)
        return ended

    def _told(
        self, drones: Iterable[int], contacts: Bool[np.ndarray, " n"], faults: Sequence[int]
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Observation and `info` of some drones."""
        swarm = self._opened()
        words = self._noise.integers(1 << 32, size=swarm.count, dtype=np.uint32)
        keys = np.stack([words, np.full_like(words, self._tick)], axis=-1)
        ranges, valid = look_around(
            self.config.compiled(),
            self._mission.scene,
            self._states,
            swarm.flying,
            keys,
            self._tick,
        )
        observations, infos = {}, {}
        for i in drones:
            name, state = self.possible_agents[i], _row(self._states, i)
            target = self._way.targets[self._referees[i].leg]
            observations[name] = self._observations.pack(see(state, target), ranges[i], valid[i])
            infos[name] = {
                "outcome": self._outcomes[i],
                "position": state.position.copy(),
                "time": self._tick / PHYSICS_HZ,
                "contact": bool(contacts[i]),
                "fault": FAULTS[faults[i]],
                "limit_violations": self._violations[i],
                "world_seed": self._seed,
            }
        return observations, infos

    def _way_to_go(self, drone: int) -> float:
        position = self._states.position[drone]
        return float(way_to_go(self._way, self._referees[drone].leg, position))

    def _opened(self) -> BulletSwarm:
        if self._swarm is None:
            raise EnvError("reset: expected before anything else, and after close")
        return self._swarm


def starts(world: World, count: int, radius: float) -> State:
    """Drones at rest in rings around the start of a world; a single one at the start itself.

    Args:
        world: where.
        count: of drones.
        radius: of their spheres [m].

    Raises:
        EnvError: an obstacle, the ground or the bounds leave no room for them.
    """
    places = np.tile(np.array(world.start_position, np.float64), (count, 1))
    if count > 1:
        index = np.arange(count)
        angle = 2 * np.pi * index / min(count, RING) + world.start_yaw
        places[:, 0] += RING_RADIUS * np.cos(angle)
        places[:, 1] += RING_RADIUS * np.sin(angle)
        places[:, 2] += np.array(LAYERS)[index // RING]
    low, high = np.array(world.bounds)
    inside = ((places >= low) & (places <= high)).all(axis=1)
    room = (clearance(world, radius, places) > 0) & inside
    if not room.all():
        raise EnvError(f"drones: expected room for {count} around the start, got {room.sum()}")
    return at_rest(places, world.start_yaw)


def _row(states: State, row: int) -> State:
    return State(*(value[row] for value in vars(states).values()))
