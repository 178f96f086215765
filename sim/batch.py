"""Many missions at once on the twin: one pure function, compiled once for all worlds of a shape."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, no_type_check

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jaxtyping import Bool, Float, Int

from sim.airframe import CF2X, Airframe
from sim.flight import Pilot
from sim.mission import Mission
from sim.physics import PLAIN, Physics
from sim.record import OUTCOMES
from sim.scene import Scene, scene_after, signed_distance
from sim.sensors import CALM, look
from sim.state import AnyArray, State, safe_norm
from sim.tick import one_tick
from sim.twin import PHYSICS_HZ, TwinState, start

ENDINGS = ("flying", *OUTCOMES)
"""What the codes of `BatchResult.outcome` mean; `flying`: the steps ran out before the flight."""


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class BatchResult:
    """How many flights went.

    Attributes:
        outcome: index into `ENDINGS`.
        time_s: simulation time flown [s].
        path_m: length of the path [m].
        min_clearance_m: least distance of the collision sphere to anything solid [m].
        contacts: ticks that ended in contact (at most one: it ends the flight).
        limit_violations: ticks with a rotor force out of range, or not finite.
        final: state at the end.
    """

    outcome: Int[Array, "*batch"]
    time_s: Float[Array, "*batch"]
    path_m: Float[Array, "*batch"]
    min_clearance_m: Float[Array, "*batch"]
    contacts: Int[Array, "*batch"]
    limit_violations: Int[Array, "*batch"]
    final: State


@no_type_check
@struct.dataclass
class _Run:
    """A flight between two ticks; frozen once its outcome is not 0, but for memory and wish."""

    twin: TwinState
    memory: Any
    wish: Any
    leg: Array
    result: BatchResult


def fly_batch(
    missions: Mission,
    pilot: Pilot,
    steps: int,
    airframe: Airframe = CF2X,
    physics: Physics = PLAIN,
    air: Float[AnyArray, "missions steps 3"] | None = None,
) -> BatchResult:
    """Fly many missions for at most `steps` physics steps, undisturbed but for the wind.

    Compiled once for a pilot, a number of steps and the padded shapes of the missions, so that
    other worlds of these shapes only run (`stack_missions`; `mission_of` with a fixed `pad`).

    Args:
        missions: stacked; their dtype is that of the physics.
        pilot: hashable, its `reset`, `think` and `act` traceable by jax.
        steps: physics steps.
        airframe: what flies.
        physics: what there is besides rigid-body motion; each drone is alone in its world.
        air: velocity of the air at each tick [m/s], world frame (`sim.wind` makes it); still air
            if None.

    Raises:
        PhysicsError: the airframe lacks what the physics needs.
        ValueError: if the missions are not stacked, there is no step, or no air for one.
    """
    if missions.speed.ndim != 1:
        raise ValueError(f"missions: expected one leading axis, got {missions.speed.ndim}")
    if steps < 1:
        raise ValueError(f"steps: expected 1 or more, got {steps}")
    if air is not None:
        air = jnp.asarray(air, missions.start.position.dtype)
        if air.shape != (expected := (missions.speed.shape[0], steps, 3)):
            raise ValueError(f"air: expected {expected}, got {air.shape}")
    return _fly(pilot, steps, airframe, physics, missions, air)


def sight_schedule(sight_rate: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """At which ticks an undisturbed pilot looks, and the time since the last look [s].

    The same ticks as those of `sim.eyes.Eyes` without jitter.
    """
    period, due = 1 / sight_rate, 0.0
    taken, looks, waits = -period, np.zeros(steps, bool), np.full(steps, period)
    for tick in range(steps):
        now = tick / PHYSICS_HZ
        if now >= due - 1e-9:
            due = max(due + period, now + 1 / PHYSICS_HZ)
            looks[tick], waits[tick], taken = True, max(now - taken, 1 / PHYSICS_HZ), now
    return looks, waits


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _fly(
    pilot: Pilot,
    steps: int,
    airframe: Airframe,
    physics: Physics,
    missions: Mission,
    air: Array | None,
) -> BatchResult:
    looks, waits = sight_schedule(pilot.sight_rate, steps)
    ticks = (jnp.arange(steps), jnp.asarray(looks), jnp.asarray(waits, missions.speed.dtype))

    def one(mission: Mission, blows: Array | None) -> BatchResult:
        seen = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), mission.scene)

        def tick(run: _Run, now: tuple[Array, Array, Array, Array | None]) -> tuple[_Run, None]:
            run = _think(pilot, scene_after(seen, now[0]), run, now[1], now[2])
            return _act(pilot, airframe, physics, mission, run, now[0], now[3]), None

        begin = _begin(pilot, airframe, physics, mission, seen)
        return jax.lax.scan(tick, begin, (*ticks, blows))[0].result

    return jax.vmap(one)(missions, air)


def _begin(
    pilot: Pilot, airframe: Airframe, physics: Physics, mission: Mission, seen: Scene
) -> _Run:
    """Before the first tick. The wish is blank: every flight starts with a thought."""
    dtype, body = mission.start.position.dtype, mission.start
    memory = jax.tree.map(jnp.asarray, pilot.reset(mission))
    _, wish = jax.eval_shape(lambda: _thought(pilot, seen, memory, body, jnp.asarray(0.1, dtype)))
    zero, none = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
    clearance = signed_distance(mission.scene, body.position) - airframe.collision_radius
    return _Run(
        twin=start(body, jax.tree.map(jnp.asarray, physics.start(airframe, dtype=dtype))),
        memory=memory,
        wish=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), wish),
        leg=none,
        result=BatchResult(none, zero, zero, clearance, none, none, body),
    )


def _thought(
    pilot: Pilot,
    seen: Scene,
    memory: Any,  # noqa: ANN401 - the pilot's own
    body: State,
    wait: Array,
) -> tuple[Any, Any]:
    sight = look(pilot.rays, seen, body, CALM, None)
    return pilot.think(memory, sight, wait)


def _think(pilot: Pilot, seen: Scene, run: _Run, looks: Bool[Array, ""], wait: Array) -> _Run:
    """Look and think, at the ticks of the schedule: the same for all flights of the batch."""

    def think() -> tuple[Any, Any]:
        return _like((run.memory, run.wish), _thought(pilot, seen, run.memory, run.twin.body, wait))

    memory, wish = jax.lax.cond(looks, think, lambda: (run.memory, run.wish))
    return replace(run, memory=memory, wish=wish)


def _act(
    pilot: Pilot,
    airframe: Airframe,
    physics: Physics,
    mission: Mission,
    run: _Run,
    now: Array,
    air: Float[Array, " 3"] | None,
) -> _Run:
    """One physics step, and its judgement."""
    before, dtype = run.twin, run.result.time_s.dtype
    memory, forces, _ = pilot.act(run.memory, run.wish, before.body)
    in_range = jnp.all((forces >= 0) & (forces <= airframe.max_force))
    admitted = jnp.clip(jnp.where(jnp.isfinite(forces), forces, 0), 0, airframe.max_force)
    scene, forces = mission.scene, admitted.astype(dtype)
    after, distance = one_tick(airframe, scene, before, forces, air, physics=physics, ticks=now)
    clearance = distance - airframe.collision_radius
    leg, outcome = outcome_of(mission, run.leg, after.body.position, clearance < 0, now)
    moved = safe_norm(after.body.position - before.body.position)
    was = run.result
    result = BatchResult(
        outcome=outcome,
        time_s=((now + 1) / PHYSICS_HZ).astype(dtype),
        path_m=was.path_m + moved,
        min_clearance_m=jnp.minimum(was.min_clearance_m, clearance),
        contacts=was.contacts + (clearance < 0),
        limit_violations=was.limit_violations + ~in_range,
        final=after.body,
    )
    new = (after, leg, result)
    old = (before, run.leg, was)
    twin, leg, result = jax.tree.map(
        lambda then, before: jnp.where(was.outcome == 0, then, before), _like(old, new), old
    )
    return _Run(twin, _like(run.memory, memory), run.wish, leg, result)


def outcome_of(
    mission: Mission, leg: Array, position: Float[AnyArray, " 3"], contact: Array, tick: Array
) -> tuple[Array, Array]:
    """The next leg and the outcome's code; the order of the questions is that of the referee."""
    low, high = mission.bounds
    # Written so that nan fails it.
    inside = jnp.all((position >= low) & (position <= high))
    passed = safe_norm(position - mission.targets[leg]) < mission.target_radius
    reached = passed & (leg + 1 == mission.target_count)
    late = (tick + 1) / PHYSICS_HZ >= mission.time_limit
    codes = {name: ENDINGS.index(name) for name in OUTCOMES}
    outcome = jnp.select(
        [contact, ~inside, reached, late],
        [codes["contact"], codes["out_of_bounds"], codes["reached"], codes["timeout"]],
        0,
    )
    return jnp.minimum(leg + passed, mission.target_count - 1), outcome.astype(jnp.int32)


def _like(old: Any, new: Any) -> Any:  # noqa: ANN401 - any pytree
    """The new leaves in the dtypes of the old ones: a loop's state keeps its types."""
    return jax.tree.map(lambda then, now: jnp.asarray(now, jnp.asarray(then).dtype), old, new)
