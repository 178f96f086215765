"""One mission flown by one pilot in one engine, and the `Pilot` protocol that it takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import jax
import numpy as np
from jax import Array
from jaxtyping import Float

from sim.airframe import CF2X, Airframe
from sim.belief import Belief
from sim.conditions import Conditions, start_in
from sim.engine import Engine, TwinEngine
from sim.eyes import Eyes
from sim.mission import Mission, mission_of
from sim.physics import PLAIN, Physics
from sim.record import Flight
from sim.referee import Referee
from sim.scene import Counts
from sim.sensors import CALM, Disturbance, RayFan, Sight
from sim.shapes import Box, Cylinder, Sphere
from sim.state import AnyArray, State
from sim.twin import PHYSICS_HZ
from sim.world import World

EngineName: TypeAlias = Literal["pybullet", "twin"]
EngineMaker: TypeAlias = Callable[..., Engine]
"""Opens an engine, given `airframe` and `world`, and by name `mass_scale`, `wind` and `physics`, as
the classes of our engines do."""
Progress: TypeAlias = Callable[[float, State], object]
"""Is told simulation time [s] and state now and then during a flight."""

PROGRESS_WAIT = 0.1
"""Wall time between two tellings [s]."""


@runtime_checkable
class Pilot(Protocol):
    """What flies a mission: any object with these.

    Attributes:
        name: for the record.
        sight_rate: sights a second [Hz].
    """

    name: str
    sight_rate: float

    @property
    def rays(self) -> RayFan:
        """The rays that it wants to be cast: any fan."""
        ...

    def reset(self, mission: Mission) -> Any:  # noqa: ANN401 - the pilot's own memory
        """The memory at the start of a mission."""
        ...

    def think(self, memory: Any, sight: Sight, dt: float | Array) -> tuple[Any, Any]:  # noqa: ANN401
        """At the sensor rate: look, `dt` [s] after the last look; answer memory and wish."""
        ...

    def act(
        self,
        memory: Any,  # noqa: ANN401
        wish: Any,  # noqa: ANN401
        state: State,
    ) -> tuple[Any, Float[AnyArray, " 4"], Mapping[str, Any]]:
        """At every physics tick: answer memory, rotor forces [N] and arrays to record."""
        ...


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
    engine: EngineName | EngineMaker = "pybullet",
    *,
    airframe: Airframe = CF2X,
    disturbance: Disturbance = CALM,
    physics: Physics = PLAIN,
    family: str = "world",
    seed: int | None = None,
    gui: bool = False,
    progress: Progress | None = None,
) -> Flight:
    """Fly a mission to its end: target reached, contact, out of bounds, or out of time.

    Args:
        world: where.
        pilot: who.
        engine: which physics: ours by name, or what opens another, such as
            `sim.adapters.gym_pybullet_drones.AviaryEngine`.
        airframe: what.
        disturbance: how reality differs from the ideal, seeded by `seed`.
        physics: what there is besides rigid-body motion.
        family: name of the world's family or file, for the record.
        seed: of the world, for the record and the disturbance (0 if None).
        gui: open PyBullet's window.
        progress: told where the flight is when the pilot has compiled, then every
            `PROGRESS_WAIT` of wall time.

    Returns:
        Everything that happened, tick by tick.

    Raises:
        ValueError: for an unknown engine, or a seed below zero.
        PhysicsError: for an airframe that lacks what the physics needs.
    """
    if seed is not None and seed < 0:
        raise ValueError(f"seed: expected 0 or more, got {seed}")
    mission = mission_of(world, jax.dtypes.canonicalize_dtype(np.float64), pad_of(world))
    conditions = Conditions.draw(disturbance, seed or 0)
    air = conditions.air(disturbance, seed or 0, world)
    with open_engine(engine, airframe, world, conditions, gui, physics) as body:
        log, outcome = _loop(mission, pilot, body, disturbance, seed or 0, air, progress)
        violations = body.door.limit_violations
    return Flight(
        world=world,
        family=family,
        seed=seed,
        pilot=pilot.name,
        engine=engine if isinstance(engine, str) else _name_of(engine),
        airframe=airframe,
        outcome=outcome,
        limit_violations=violations,
        **_columns(log),
    )


def pad_of(world: World) -> Counts:
    """Entries of each kind of obstacle: 8 where there is none, else 96, 192, 384...

    So few sizes that the worlds of a family nearly always share one compiled program, and given by
    the world alone, so that a flight has the same bits whatever was flown before it.
    """
    cylinders, spheres, boxes = (
        _roomy(sum(isinstance(item, kind) for item in world.obstacles))
        for kind in (Cylinder, Sphere, Box)
    )
    return cylinders, spheres, boxes


def _roomy(count: int) -> int:
    return 8 if count == 0 else 96 << max(0, math.ceil(math.log2(count / 96)))


def open_engine(
    engine: str | EngineMaker,
    airframe: Airframe,
    world: World,
    conditions: Conditions,
    gui: bool,
    physics: Physics = PLAIN,
) -> Engine:
    """An engine under these conditions; PyBullet is only imported for its own.

    Args:
        engine: `pybullet`, `twin`, or what opens one.
        airframe: what flies, as its pilot believes it to be.
        world: where.
        conditions: what the disturbance makes of wind, mass and inertia.
        gui: open PyBullet's window.
        physics: what there is besides rigid-body motion.

    Raises:
        ValueError: there is no such engine, or no window of it.
        EngineError: no physics server can be started.
    """
    scale, wind = conditions.mass_scale, conditions.wind
    airframe = conditions.airframe(airframe)
    if not isinstance(engine, str):
        if gui:
            raise ValueError(f"gui: expected engine 'pybullet' with it, got {_name_of(engine)}")
        return engine(airframe, world, mass_scale=scale, wind=wind, physics=physics)
    if engine == "twin":
        pad = pad_of(world)
        return TwinEngine(airframe, world, mass_scale=scale, wind=wind, pad=pad, physics=physics)
    if engine == "pybullet":
        from sim.bullet import BulletEngine

        return BulletEngine(airframe, world, mass_scale=scale, wind=wind, gui=gui, physics=physics)
    raise ValueError(f"engine: expected 'pybullet' or 'twin', got {engine!r}")


def _name_of(engine: EngineMaker) -> str:
    """Of what opens an engine, for the record."""
    return getattr(engine, "__name__", type(engine).__name__)


def _loop(
    mission: Mission,
    pilot: Pilot,
    engine: Engine,
    disturbance: Disturbance,
    seed: int,
    air: Float[np.ndarray, "ticks 3"] | None,
    progress: Progress | None,
) -> tuple[_Log, str]:
    """Tick until the flight ends."""
    log, eyes = _Log(), Eyes(pilot.rays, pilot.sight_rate, mission.scene, disturbance, seed)
    start = start_in(disturbance, seed, engine.world, engine.airframe)
    if start is not None:
        mission = replace(mission, start=start.as_jax(mission.start.position.dtype))
    state = engine.reset(start)
    belief = Belief(disturbance, seed, state)
    memory = pilot.reset(mission)
    _warm_up(pilot, memory, eyes.see(state, 0.0))
    eyes = Eyes(pilot.rays, pilot.sight_rate, mission.scene, disturbance, seed)
    referee = Referee(mission)
    wish, tick, outcome, told = None, 0, "", -math.inf
    while not outcome:
        if progress is not None and time.perf_counter() - told > PROGRESS_WAIT:
            progress(tick / PHYSICS_HZ, state)
            told = time.perf_counter()
        now = tick / PHYSICS_HZ
        believed = belief.of(state, tick)
        if (seen := eyes.look(state, now, None if belief.exact else believed)) is not None:
            sight, dt = seen
            began = time.perf_counter()
            memory, wish = jax.block_until_ready(pilot.think(memory, sight, dt))
            log.think_seconds.append(time.perf_counter() - began)
            log.think_times.append(now)
            log.sights.append(sight)
        began = time.perf_counter()
        memory, forces, record = pilot.act(memory, wish, believed)
        forces = np.asarray(forces)
        log.act_seconds.append(time.perf_counter() - began)
        if air is not None:
            record = {"wind": air[tick]} | dict(record)
        state, contact = engine.step(forces, None if air is None else tuple(air[tick].tolist()))
        tick += 1
        log.times.append(tick / PHYSICS_HZ)
        log.states.append(state)
        log.forces.append(forces)
        log.contacts.append(contact)
        log.records.append(record)
        outcome = referee.outcome(state.position, contact, tick / PHYSICS_HZ)
    return log, outcome


def _warm_up(pilot: Pilot, memory: Any, sight: Sight) -> None:  # noqa: ANN401
    """Let the pilot compile before the clock starts; pure functions leave no trace."""
    memory, wish = pilot.think(memory, sight, 1 / pilot.sight_rate)
    memory, _, _ = pilot.act(memory, wish, sight.state.as_numpy())
    jax.block_until_ready(pilot.act(memory, wish, sight.state.as_numpy())[1])


def _columns(log: _Log) -> dict[str, Any]:
    """The log as arrays."""
    states = log.states
    # Leaf by leaf: on a CPU that is several times faster than jax.device_get of the lists.
    records, sights = log.records, log.sights
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
            "ranges": np.stack([np.asarray(sight.ranges) for sight in sights]),
            "valid": np.stack([np.asarray(sight.valid) for sight in sights]),
        },
        "act_seconds": np.array(log.act_seconds),
        "think_seconds": np.array(log.think_seconds),
    }
