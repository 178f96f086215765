"""One mission flown by one pilot in one engine, and the `Pilot` protocol that it takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from sim.airframe import CF2X, Airframe
from sim.engine import Engine, TwinEngine
from sim.mission import Mission, mission_of
from sim.record import Flight
from sim.scene import Scene
from sim.sensors import CALM, Disturbance, RayPattern, Sight, look
from sim.state import State
from sim.twin import PHYSICS_HZ
from sim.world import World

EngineName: TypeAlias = Literal["pybullet", "twin"]


class Pilot(Protocol):
    """What flies a mission: any object with these.

    Attributes:
        name: for the record.
        rays: the rays that it wants to be cast.
        sight_rate: sights a second [Hz].
    """

    name: str
    rays: RayPattern
    sight_rate: float

    def reset(self, mission: Mission) -> Any:  # noqa: ANN401 - the pilot's own memory
        """The memory at the start of a mission."""
        ...

    def think(self, memory: Any, sight: Sight, dt: float) -> tuple[Any, Any]:  # noqa: ANN401
        """At the sensor rate: look, `dt` [s] after the last look; answer memory and wish."""
        ...

    def act(
        self,
        memory: Any,  # noqa: ANN401
        wish: Any,  # noqa: ANN401
        state: State,
    ) -> tuple[Any, Float[Array, " 4"], Mapping[str, Any]]:
        """At every physics tick: answer memory, rotor forces [N] and arrays to record."""
        ...


@dataclass(frozen=True)
class Conditions:
    """What a flight draws from its seed and its disturbance.

    Attributes:
        wind: velocity of the air [m/s], world frame.
        mass_scale: true mass and inertia over the airframe's.
    """

    wind: tuple[float, float, float]
    mass_scale: float

    @classmethod
    def draw(cls, disturbance: Disturbance, seed: int) -> Conditions:
        """Direction of the wind and sign of the mass error."""
        draws = np.random.default_rng([0x51D, seed])
        angle, sign = draws.uniform(0, 2 * np.pi), draws.choice([-1.0, 1.0])
        wind = disturbance.wind * np.array([np.cos(angle), np.sin(angle), 0.0])
        return cls(tuple(wind.tolist()), 1.0 + float(sign) * disturbance.mass_error)


@dataclass
class _Log:
    """Rows of the flight, as they come."""

    times: list[float] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    forces: list[Any] = field(default_factory=list)
    contacts: list[bool] = field(default_factory=list)
    records: list[Mapping[str, Any]] = field(default_factory=list)
    act_seconds: list[float] = field(default_factory=list)
    think_times: list[float] = field(default_factory=list)
    think_seconds: list[float] = field(default_factory=list)
    sights: list[Sight] = field(default_factory=list)


def fly(
    world: World,
    pilot: Pilot,
    engine: EngineName = "pybullet",
    *,
    airframe: Airframe = CF2X,
    disturbance: Disturbance = CALM,
    family: str = "world",
    seed: int | None = None,
    gui: bool = False,
) -> Flight:
    """Fly a mission to its end: target reached, contact, out of bounds, or out of time.

    Args:
        world: where.
        pilot: who.
        engine: which physics.
        airframe: what.
        disturbance: how reality differs from the ideal, seeded by `seed`.
        family: name of the world's family or file, for the record.
        seed: of the world, for the record and the disturbance (0 if None).
        gui: open PyBullet's window.

    Returns:
        Everything that happened, tick by tick.

    Raises:
        ValueError: for an unknown engine.
        WorldError: for obstacles that move.
    """
    mission = mission_of(world, jax.dtypes.canonicalize_dtype(np.float64))
    conditions = Conditions.draw(disturbance, seed or 0)
    with _engine(engine, airframe, world, conditions, gui) as physics:
        log, outcome = _loop(mission, pilot, physics, disturbance, seed or 0)
        violations = physics.door.limit_violations
    return Flight(
        world=world,
        family=family,
        seed=seed,
        pilot=pilot.name,
        engine=engine,
        airframe=airframe,
        outcome=outcome,
        limit_violations=violations,
        **_columns(log),
    )


def _engine(
    name: str, airframe: Airframe, world: World, conditions: Conditions, gui: bool
) -> Any:  # noqa: ANN401 - an Engine that is a context manager
    if name == "twin":
        return TwinEngine(
            airframe, world, mass_scale=conditions.mass_scale, wind=conditions.wind
        )
    if name == "pybullet":
        from sim.bullet import BulletEngine

        scale, wind = conditions.mass_scale, conditions.wind
        return BulletEngine(airframe, world, mass_scale=scale, wind=wind, gui=gui)
    raise ValueError(f"engine: expected 'pybullet' or 'twin', got {name!r}")


def _loop(
    mission: Mission, pilot: Pilot, engine: Engine, disturbance: Disturbance, seed: int
) -> tuple[_Log, str]:
    """Tick until the flight ends."""
    log, eyes = _Log(), _Eyes(pilot, mission.scene, disturbance, seed)
    state = engine.reset()
    memory = pilot.reset(mission)
    _warm_up(pilot, memory, eyes.see(state, 0.0))
    eyes = _Eyes(pilot, mission.scene, disturbance, seed)
    judge = _Judge(mission)
    wish, tick, outcome = None, 0, ""
    while not outcome:
        now = tick / PHYSICS_HZ
        if (seen := eyes.look(state, now)) is not None:
            sight, dt = seen
            began = time.perf_counter()
            memory, wish = jax.block_until_ready(pilot.think(memory, sight, dt))
            log.think_seconds.append(time.perf_counter() - began)
            log.think_times.append(now)
            log.sights.append(sight)
        began = time.perf_counter()
        memory, forces, record = pilot.act(memory, wish, state)
        forces = np.asarray(forces)
        log.act_seconds.append(time.perf_counter() - began)
        state, contact = engine.step(forces)
        tick += 1
        log.times.append(tick / PHYSICS_HZ)
        log.states.append(state)
        log.forces.append(forces)
        log.contacts.append(contact)
        log.records.append(record)
        outcome = judge.outcome(state.position, contact, tick / PHYSICS_HZ)
    return log, outcome


def _warm_up(pilot: Pilot, memory: Any, sight: Sight) -> None:  # noqa: ANN401
    """Let the pilot compile before the clock starts; pure functions leave no trace."""
    memory, wish = pilot.think(memory, sight, 1 / pilot.sight_rate)
    memory, _, _ = pilot.act(memory, wish, sight.state.as_numpy())
    jax.block_until_ready(pilot.act(memory, wish, sight.state.as_numpy())[1])


class _Judge:
    """Which targets were passed, and whether the flight is over."""

    def __init__(self, mission: Mission) -> None:
        self._targets = np.asarray(mission.targets, float)[: int(mission.target_count)]
        self._radius = float(mission.target_radius)
        self._limit = float(mission.time_limit)
        self._low, self._high = np.asarray(mission.bounds, float)
        self._leg = 0

    def outcome(self, position: Float[np.ndarray, " 3"], contact: bool, now: float) -> str:
        """Why the flight is over, or an empty string."""
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


class _Eyes:
    """When sights are taken and when they arrive: rate, jitter, delay; and what they show."""

    def __init__(
        self, pilot: Pilot, scene: Scene, disturbance: Disturbance, seed: int
    ) -> None:
        self._pattern, self._noise = pilot.rays, disturbance
        self._scene = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), scene)
        self._period = 1 / pilot.sight_rate
        self._draws = np.random.default_rng([0xE7E, seed])
        self._due = 0.0
        self._taken = -self._period
        self._on_the_way: deque[tuple[float, float, Sight]] = deque()

    def look(self, state: State, now: float) -> tuple[Sight, float] | None:
        """The sight that arrives at this tick, if one does, and the time since the last one."""
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
        """Cast the rays now."""
        key = np.array([self._draws.integers(1 << 32), round(now * PHYSICS_HZ)], np.uint32)
        return _look(self._pattern, self._noise, self._scene, state, key)


@partial(jax.jit, static_argnums=(0, 1))
def _look(
    pattern: RayPattern, noise: Disturbance, scene: Scene, state: State, key: Array
) -> Sight:
    return look(pattern, scene, state, noise, key)


def _columns(log: _Log) -> dict[str, Any]:
    """The log as arrays."""
    states = log.states
    records = jax.device_get(log.records)
    sights = jax.device_get(log.sights)
    return {
        "times": np.array(log.times),
        "position": np.stack([state.position for state in states]),
        "velocity": np.stack([state.velocity for state in states]),
        "quaternion": np.stack([state.quaternion for state in states]),
        "angular_velocity": np.stack([state.angular_velocity for state in states]),
        "forces": np.stack(log.forces).astype(float),
        "contact": np.array(log.contacts, bool),
        "records": {
            name: np.stack([np.asarray(row[name]) for row in records]) for name in records[0]
        },
        "think_times": np.array(log.think_times),
        "think_records": {
            "ranges": np.stack([sight.ranges for sight in sights]),
            "valid": np.stack([sight.valid for sight in sights]),
        },
        "act_seconds": np.array(log.act_seconds),
        "think_seconds": np.array(log.think_seconds),
    }
