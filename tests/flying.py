"""Pilots that compile in no time, and worlds for them: for tests of what flies pilots."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from sim.airframe import CF2X
from sim.mission import Mission
from sim.sensors import RayPattern, Sight
from sim.state import State, rotate_inverse
from sim.world import Cylinder, World

FEW_RAYS = RayPattern(((0.0, 8),))


def open_world(**changes: Any) -> World:
    """A hall with one post beside the way, and a target 2 m ahead."""
    fields: dict[str, Any] = {
        "bounds": ((-2.0, -4.0, 0.0), (6.0, 4.0, 3.0)),
        "obstacles": (Cylinder((1.0, 1.5, 1.5), 0.3, 3.0),),
        "start_position": (0.0, 0.0, 1.5),
        "start_yaw": 0.0,
        "target": (2.0, 0.2, 1.2),
        "target_radius": 0.4,
        "via": (),
        "speed": 1.5,
        "time_limit": 6.0,
    }
    return World(**(fields | changes))


class Steady:
    """Flies straight to each target in turn by proportional feedback; numpy or jax, as given.

    Attributes:
        name: for records.
        rays: few.
        sight_rate: [Hz].
    """

    name = "steady"

    def __init__(self, sight_rate: float = 24.0, rays: RayPattern = FEW_RAYS) -> None:
        self.sight_rate, self.rays = sight_rate, rays

    def reset(self, mission: Mission) -> dict[str, Any]:
        """Targets, leg, radius, speed, and the time that the sights say has passed."""
        dtype = mission.start.position.dtype
        return {
            "targets": mission.targets,
            "leg": jnp.zeros((), jnp.int32),
            "last": mission.target_count - 1,
            "radius": mission.target_radius,
            "speed": mission.speed,
            "elapsed": jnp.zeros((), dtype),
        }

    def think(self, memory: dict, sight: Sight, dt: Any) -> tuple[dict, Any]:
        """Wish for a velocity."""
        gap = memory["targets"][memory["leg"]] - sight.state.position
        passed = jnp.linalg.norm(gap) < memory["radius"]
        leg = jnp.minimum(memory["leg"] + passed, memory["last"])
        gap = memory["targets"][leg] - sight.state.position
        wish = memory["speed"] * gap / jnp.maximum(jnp.linalg.norm(gap), 0.3)
        elapsed = memory["elapsed"] + dt
        return memory | {"leg": leg, "elapsed": elapsed}, wish

    def act(self, memory: dict, wish: Any, state: State) -> tuple[dict, Any, dict]:
        """Velocity error to force to attitude to rotors, all within their range."""
        xp = np if isinstance(wish, np.ndarray) else jnp
        gravity = np.array([0.0, 0.0, CF2X.gravity])
        pull = CF2X.mass * (xp.clip(2.0 * (wish - state.velocity), -3, 3) + gravity)
        body = rotate_inverse(state.quaternion, pull)
        error = xp.stack([-body[1], body[0], 0 * body[0]]) / xp.maximum(body[2], 0.1)
        spin = 12 * error - state.angular_velocity
        torque = np.array(CF2X.inertia) * 40 * spin
        wrench = xp.concatenate([xp.maximum(body[2:], 0.05), torque])
        forces = xp.clip(np.asarray(CF2X.mixer_inverse) @ wrench, 0, CF2X.max_force)
        return memory, forces, {"pull": pull}


class Plain(Steady):
    """The same in numpy alone: no jit, no jax array anywhere."""

    name = "plain"

    def reset(self, mission: Mission) -> dict[str, Any]:
        """As numpy."""
        return {name: np.asarray(value) for name, value in super().reset(mission).items()}

    def think(self, memory: dict, sight: Sight, dt: Any) -> tuple[dict, Any]:
        """As numpy."""
        state = sight.state.as_numpy()
        plain = Sight(state, np.asarray(sight.ranges), np.asarray(sight.valid))
        memory, wish = super().think(memory, plain, dt)
        return {name: np.asarray(value) for name, value in memory.items()}, np.asarray(wish)


class Frail(Plain):
    """Raises in the world of one set speed, takes its process down in that of another."""

    name = "frail"

    def __init__(self, raises_at: float, dies_at: float) -> None:
        super().__init__()
        self.raises_at, self.dies_at = raises_at, dies_at

    def reset(self, mission: Mission) -> dict[str, Any]:
        """Look at the set speed first."""
        if float(mission.speed) == self.raises_at:
            raise Unfit("a fault\nof the pilot", self)
        if float(mission.speed) == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reset(mission)


class Unfit(RuntimeError):
    """An error that does not survive a journey between processes."""

    def __init__(self, message: str, pilot: Frail) -> None:
        super().__init__(message)
        self.pilot = pilot


def plain() -> Plain:
    """For campaigns."""
    return Plain()


def frail(raises_at: float, dies_at: float) -> Frail:
    """For campaigns."""
    return Frail(raises_at, dies_at)


class Greedy(Plain):
    """Asks a rotor for more than it has, once in a while."""

    name = "greedy"

    def act(self, memory: dict, wish: Any, state: State) -> tuple[dict, Any, dict]:
        """As ever, but for every fortieth tick."""
        memory, forces, record = super().act(memory, wish, state)
        count = memory.get("count", 0) + 1
        push = 1.0 if count % 40 == 0 else 0.0
        return memory | {"count": count}, forces + np.array([0, 0, push, 0]), record


def stand_in(name: str, barrier: bool, sees: str) -> Plain:
    """In place of `load_pilot`: a pilot by name that needs no compiling."""
    pilots = {"straight-line": Plain, "greedy": Greedy}
    return pilots.get(name, partial(Frail, raises_at=1.5, dies_at=-1.0))()


class Asleep(Plain):
    """Never comes to an end of its first thought."""

    name = "asleep"

    def think(self, memory: dict, sight: Sight, dt: Any) -> tuple[dict, Any]:
        """Sleep."""
        time.sleep(3600)
        return memory, None


def asleep() -> Asleep:
    """For campaigns."""
    return Asleep()


def frail_at_home() -> Frail:
    """Dies in the first world of the campaigns' tests."""
    from sim import generate

    return Frail(-1.0, generate("forest", 1_000_000).speed)
