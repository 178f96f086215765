"""One drone in one world as a Gymnasium environment."""

from __future__ import annotations

import os
import sys
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float, UInt8

from sim.belief import Belief
from sim.engine import EngineError
from sim.env.actions import FAULTS, Actions, in_floats
from sim.env.config import config_of
from sim.env.errors import EnvError
from sim.env.observations import Observation, Observations, see
from sim.env.place import Place, open_place
from sim.env.reward import reward_of
from sim.env.tasks import CRASHES, FLYING, TRUNCATED, way_to_go
from sim.eyes import Eyes
from sim.referee import Referee
from sim.sensors import Sight
from sim.state import State, yaw_of
from sim.twin import PHYSICS_HZ

PICTURE = (320, 240)
"""Width and height of a rendered picture [pixels]."""
FRAMES_HZ = 24
"""Pictures a second that an episode is meant to be shown at, at most [Hz]."""
OPTIONS = ("world_seed", "same_world")


def render_modes() -> list[str]:
    """`rgb_array`, and `human` (PyBullet's window, at the speed of the clock) with a display."""
    display = sys.platform != "linux" or bool(os.environ.get("DISPLAY"))
    return ["rgb_array", "human"] if display else ["rgb_array"]


class DroneEnv(gymnasium.Env[Observation, np.ndarray]):
    """Fly to the target of a world, past its obstacles.

    An episode terminates when the target is reached, on contact and out of bounds; the world's
    time limit truncates it. `info` has `outcome` (`flying`, `reached`, `contact`, `out_of_bounds`,
    `timeout`), `position` [m], `time` [s], `contact`, `fault` (of the last action: empty,
    `out_of_range`, `not_finite`), `limit_violations` (actions of the episode with a fault) and
    `world_seed`.
    """

    metadata: dict[str, Any] = {
        "render_modes": render_modes(),
        "render_fps": FRAMES_HZ,
    }

    def __init__(
        self,
        render_mode: str | None = None,
        **options: Any,  # noqa: ANN401 - checked one by one
    ) -> None:
        """Configure; the first world is built by the first `reset`.

        Args:
            render_mode: `rgb_array`, `human` (with a display and PyBullet as the engine), or None.
            options: the fields of `EnvConfig`.

        Raises:
            EnvError: naming the argument that is not right.
        """
        self.config = config_of(**options)
        if render_mode is not None and render_mode not in render_modes():
            modes = ", ".join(render_modes())
            raise EnvError(f"render_mode: expected one of {modes} here, got {render_mode!r}")
        if render_mode == "human" and self.config.engine != "pybullet":
            raise EnvError("render_mode: expected rgb_array for the twin, got 'human'")
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": min(FRAMES_HZ, self.config.control_hz)}
        self._actions, self._observations = Actions(self.config), Observations(self.config)
        self.action_space, self.observation_space = self._actions.space, self._observations.space
        self._place: Place | None = None
        self._stage: Any = None
        self._outcome = ""

    @property
    def state(self) -> State:
        """The drone's true state."""
        self._opened()
        return self._state

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; a world that stays the same is not built again.

        Args:
            seed: the world is the one of `config.world_seed(seed)`, and later resets without a
                seed draw their worlds from it. The same seed gives the same bits.
            options: `world_seed`: the seed of the world itself; `same_world`: stay in this one.

        Raises:
            EnvError: for an unknown option, or a value that is not right.
        """
        super().reset(seed=seed)
        self._move_to(self._next_world(seed, options or {}))
        place = self._opened()
        self._referee = Referee(place.mission)
        self._eyes = Eyes(
            self.config.rays,
            float(self.config.control_hz),
            place.mission.scene,
            self.config.disturbance,
            place.seed,
        )
        self._tick, self._violations, self._outcome = 0, 0, FLYING
        self._belief = Belief(self.config.disturbance, place.seed, self._state)
        self._believed = self._belief.of(self._state, 0)
        first = self._eyes.look(self._state, 0.0, self._estimate())
        self._sight = first[0] if first else self._eyes.see(self._state, 0.0, self._estimate())
        self._to_go = self._way_to_go()
        return self._observed(), self._info(False, FAULTS[0])

    def step(self, action: object) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Fly for one control step, or to the end of the episode within it.

        Raises:
            ActionError: for an action of the wrong shape, or not of real numbers.
            EnvError: before `reset`, and after the end of the episode.
            EngineError: the physics server is gone; `reset` starts another.
        """
        self._opened()
        if self._outcome != FLYING:
            raise EnvError(f"step: expected a reset first, the episode is over: {self._outcome}")
        command, fault = self._actions.admit(action)
        self._violations += bool(fault)
        began, contact = self._tick, self._fly(command)
        before, self._to_go = self._to_go, self._way_to_go()
        reward = reward_of(
            self.config.reward,
            before - self._to_go,
            (self._tick - began) / PHYSICS_HZ,
            self._outcome == "reached",
            self._outcome in CRASHES,
        )
        over, late = self._outcome != FLYING, self._outcome == TRUNCATED
        info = self._info(contact, FAULTS[int(fault)])
        return self._observed(), float(reward), over and not late, late, info

    def render(self) -> UInt8[np.ndarray, "height width 3"] | None:
        """A picture of the drone from behind; None where PyBullet's own window shows it."""
        if self.render_mode != "rgb_array":
            return None
        from sim.camera import Stage, chase_view, render

        if self._stage is None:
            self._stage = Stage(self.config.airframe, self._opened().world)
        self._stage.show(self._state, self._tick / PHYSICS_HZ)
        eye, look_at = chase_view(self._state, float(yaw_of(self._state.quaternion)))
        return render(self._stage, eye, look_at, *PICTURE)

    def close(self) -> None:
        """Give back engine and stage. Closing twice is fine."""
        if self._stage is not None:
            self._stage.close()
        if self._place is not None:
            self._place.engine.close()
        self._stage = self._place = None

    def _next_world(self, seed: int | None, options: dict[str, Any]) -> int:
        for name in options:
            if name not in OPTIONS:
                raise EnvError(f"options.{name}: expected one of {', '.join(OPTIONS)}")
        if "world_seed" in options:
            chosen = options["world_seed"]
            if isinstance(chosen, bool) or not isinstance(chosen, int | np.integer) or chosen < 0:
                raise EnvError(f"options.world_seed: expected 0 or more, got {chosen!r}")
            return int(chosen)
        if options.get("same_world") and self._place is not None:
            return self._place.seed
        drawn = int(self.np_random.integers(1 << 31)) if seed is None else seed
        return self.config.world_seed(drawn)

    def _move_to(self, world_seed: int) -> None:
        """Stand at the start of a world; build it if it is another one, or its engine is dead."""
        if self._place is not None and self._place.seed == world_seed:
            try:
                self._state = self._place.engine.reset(self._place.start)
            except EngineError:
                self.close()
            else:
                return
        self.close()
        self._place = open_place(self.config, world_seed, self.render_mode == "human")
        self._state = self._place.engine.reset(self._place.start)

    def _estimate(self) -> State | None:
        """What the drone believes of its state, where that is not the truth."""
        return None if self._belief.exact else self._believed

    def _fly(self, command: Float[np.ndarray, " 4"]) -> bool:
        """Tick until the control step or the episode is over; whether it ended in contact."""
        place, contact, wished = self._opened(), False, command.tolist()
        for _ in range(self.config.ticks):
            forces = self._actions.controller(in_floats(self._believed), wished)
            wind = None if place.air is None else tuple(place.air[self._tick].tolist())
            self._state, contact = place.engine.step(forces, wind)
            self._tick += 1
            self._believed = self._belief.of(self._state, self._tick)
            now = self._tick / PHYSICS_HZ
            ended = self._referee.outcome(self._state.position, contact, now)
            if ended:
                # The last look is not for the agent to act on: it is never late.
                self._outcome = ended
                self._sight = self._eyes.see(self._state, now, self._estimate())
                break
            if (seen := self._eyes.look(self._state, now, self._estimate())) is not None:
                self._sight: Sight = seen[0]
        return contact

    def _observed(self) -> Observation:
        sight = self._sight
        target = self._opened().way.targets[self._referee.leg].astype(np.float64)
        seen = see(sight.state.as_numpy(), target)
        return self._observations.pack(seen, np.asarray(sight.ranges), np.asarray(sight.valid))

    def _way_to_go(self) -> float:
        return float(way_to_go(self._opened().way, self._referee.leg, self._state.position))

    def _info(self, contact: bool, fault: str) -> dict[str, Any]:
        return {
            "outcome": self._outcome,
            "position": self._state.position.copy(),
            "time": self._tick / PHYSICS_HZ,
            "contact": contact,
            "fault": fault,
            "limit_violations": self._violations,
            "world_seed": self._opened().seed,
        }

    def _opened(self) -> Place:
        if self._place is None:
            raise EnvError("reset: expected before anything else, and after close")
        return self._place
