"""A closed loop of a pilot and the twin as one compiled function, several scenes at once.

The pilot thinks and acts exactly as in a flight, but its wishes come from a plan, so that one
compilation serves every adversary: push at a wall, slide along a face, shake for a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lnn_nav.design import Design
from lnn_nav.pilot import LiquidPilot, PilotWish
from lnn_nav.policy import Wish
from lnn_nav.straight import StraightLine
from sim import twin
from sim.mission import Mission, mission_of, stack_missions
from sim.scene import signed_distance
from sim.sensors import CALM, look
from sim.world import World

LANES = 8
"""Flights side by side."""
THOUGHTS = 48
"""Thoughts of one call of the compiled function: 2 s."""
SUBSTEPS = 10
"""Physics ticks a thought, at the design's 24 Hz."""
_KEPT = ("acceleration", "barrier", "fallback", "slack")


@lru_cache(maxsize=4)
def straight_pilot(barrier: bool = True) -> LiquidPilot:
    """The straight-line pilot of the default design, compiled once a process."""
    design = Design()
    assert round(twin.PHYSICS_HZ / design.sight_rate) == SUBSTEPS
    return LiquidPilot(design, StraightLine(design.policy), "straight-line", barrier=barrier)


def room(
    *obstacles: Any,
    start: tuple[float, float, float] = (0.0, 0.0, 1.5),
    size: float = 10.0,
    height: float = 4.0,
    time_limit: float = 1e3,
) -> World:
    """A world of at most 8 obstacles of each kind, all of one compiled shape."""
    return World(
        bounds=((-size, -size, 0.0), (size, size, height)),
        obstacles=obstacles,
        start_position=start,
        start_yaw=0.0,
        target=(0.9 * size, 0.9 * size, 0.5 * height),
        target_radius=0.3,
        via=(),
        speed=2.0,
        time_limit=time_limit,
    )


def wish_for(acceleration: Any, yaw_rate: Any = 0.0, gains: Any = (4.5, 4.5)) -> PilotWish:
    """A sound wish of the given acceleration [m/s^2]."""
    single = partial(jnp.asarray, dtype=jnp.float32)
    wish = Wish(single(acceleration), single(yaw_rate), single(gains))
    return PilotWish.of(wish, jnp.ones((), bool))


def fly_plans(
    worlds: list[World],
    plans: np.ndarray,
    wind: np.ndarray | None = None,
    velocity: np.ndarray | None = None,
    blind: bool = False,
) -> dict[str, np.ndarray]:
    """Fly every plan in its world on the twin, behind the barrier of the straight-line pilot.

    Args:
        worlds: one a flight, B <= `LANES` of them.
        plans: wished acceleration of each thought [m/s^2], `[B, thoughts, 3]`.
        wind: constant unmodelled acceleration [m/s^2], `[B, 3]`; none if None.
        velocity: at the start [m/s], `[B, 3]`; at rest if None.
        blind: the rays see nothing.

    Returns:
        By tick, `[B, ticks, ...]`: position, velocity, quaternion, clearance [m], forces, and the
        pilot's record.
    """
    count, thoughts = plans.shape[:2]
    lanes = np.minimum(np.arange(LANES), count - 1)
    missions = stack_missions([mission_of(worlds[lane], jnp.float64) for lane in lanes])
    still = np.zeros((count, 3))
    wind, velocity = (still if given is None else given for given in (wind, velocity))
    begin, advance = _compiled(straight_pilot())
    carry = begin(missions, jnp.asarray(velocity[lanes], jnp.float64))
    logs = []
    for first in range(0, thoughts, THOUGHTS):
        rows = np.minimum(first + np.arange(THOUGHTS), thoughts - 1)
        plan = jnp.asarray(plans[lanes][:, rows], jnp.float32)
        carry, log = advance(carry, missions, plan, jnp.asarray(wind[lanes]), jnp.asarray(blind))
        logs.append(jax.tree.map(np.asarray, log))
    ticks = thoughts * SUBSTEPS
    return {
        name: np.concatenate([log[name] for log in logs], axis=1)[:count, :ticks]
        for name in logs[0]
    }


@lru_cache(maxsize=4)
def _compiled(pilot: LiquidPilot) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def begin(mission: Mission, velocity: jax.Array) -> Any:
        return pilot.reset(mission), twin.start(mission.start.replace(velocity=velocity))

    flight = partial(_advance, pilot)
    return jax.jit(jax.vmap(begin)), jax.jit(jax.vmap(flight, in_axes=(0, 0, 0, 0, None)))


def _advance(
    pilot: LiquidPilot,
    carry: Any,
    mission: Mission,
    plan: jax.Array,
    wind: jax.Array,
    blind: jax.Array,
) -> tuple[Any, dict[str, jax.Array]]:
    airframe, dt = pilot.design.airframe, 1 / pilot.design.sight_rate
    push = airframe.mass * wind
    seen = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), mission.scene)

    def thought(carry: Any, acceleration: jax.Array) -> Any:
        memory, physics = carry
        sight = look(pilot.rays, seen, physics.body, CALM, None)
        sight = sight.replace(ranges=jnp.where(blind, pilot.rays.max_range, sight.ranges))
        memory, _ = pilot.think(memory, sight, dt)

        def tick(carry: Any, _: None) -> Any:
            memory, physics = carry
            memory, forces, record = pilot.act(memory, wish_for(acceleration), physics.body)
            physics = twin.step(airframe, physics, forces, force_world=push)
            return (memory, physics), _measured(mission, physics, forces, record)

        return jax.lax.scan(tick, (memory, physics), None, length=SUBSTEPS)

    def _measured(mission: Mission, physics: Any, forces: Any, record: Any) -> Any:
        body = physics.body
        gap = signed_distance(mission.scene, body.position) - airframe.collision_radius
        return {
            "position": body.position,
            "velocity": body.velocity,
            "quaternion": body.quaternion,
            "clearance": gap,
            "forces": forces,
            **{name: record[name] for name in _KEPT},
        }

    carry, log = jax.lax.scan(thought, carry, plan)
    return carry, {name: column.reshape(-1, *column.shape[2:]) for name, column in log.items()}
