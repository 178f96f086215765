"""A control step of many flights on the twin, as one pure function."""

from __future__ import annotations

from functools import partial
from typing import no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Bool, Float, Int, UInt32

from sim import twin
from sim.batch import ENDINGS, outcome_of
from sim.env.actions import controller_of
from sim.env.config import EnvConfig
from sim.env.observations import see
from sim.env.tasks import CRASHES, way_to_go
from sim.env.worlds import Setting
from sim.scene import scene_after
from sim.sensors import look
from sim.state import AnyArray
from sim.tick import one_tick
from sim.twin import TwinState

_CRASHES = tuple(ENDINGS.index(name) for name in CRASHES)


@no_type_check  # At run time only: jax also fills pytrees with axes, shapes and placeholders.
@struct.dataclass
class Flights:
    """Flights between two control steps.

    Attributes:
        twin: the bodies.
        leg: index of the next point to reach, `[n]`.
        tick: physics steps flown, `[n]`.
        outcome: index into `ENDINGS`, `[n]`; a flight that is over does not move.
        contact: whether it ended in contact, `[n]`.
    """

    twin: TwinState
    leg: Int[Array, " n"]
    tick: Int[Array, " n"]
    outcome: Int[Array, " n"]
    contact: Bool[Array, " n"]


@no_type_check
@struct.dataclass
class View:
    """What there is to tell after a control step.

    Attributes:
        seen: state and target as the agent sees them, `[n, 13]`.
        ranges: along the rays [m], `[n, rays]`.
        valid: False where the return of a ray was lost, `[n, rays]`.
        to_go: the way to the target [m], `[n]`.
    """

    seen: Float[AnyArray, "n 13"]
    ranges: Float[Array, "n rays"]
    valid: Bool[Array, "n rays"]
    to_go: Float[AnyArray, " n"]


def begin(config: EnvConfig, settings: Setting) -> Flights:
    """Flights at the start of their worlds; of one setting, or of a stack."""
    batch, dtype = settings.mass_scale.shape, settings.mission.start.position.dtype
    rotors = jax.tree.map(jnp.asarray, config.physics.start(config.airframe, batch, dtype))
    none = jnp.zeros(batch, jnp.int32)
    start = twin.start(settings.mission.start, rotors)
    return Flights(start, none, none, none, jnp.zeros(batch, bool))


@partial(jax.jit, static_argnums=0)
def advance(
    config: EnvConfig,
    settings: Setting,
    flights: Flights,
    commands: Float[AnyArray, "n 4"],
    moves: Bool[AnyArray, " n"],
    resets: Bool[AnyArray, " n"],
    words: UInt32[AnyArray, " n"],
) -> tuple[Flights, View]:
    """One control step of each flight that moves, and a look from where it then is.

    Args:
        config: of the environments, `EnvConfig.compiled`.
        settings: of the flights.
        flights: before the step.
        commands: SI units, inside their limits.
        moves: which flights are flown on.
        resets: which flights start again instead.
        words: random bits for the rays of each flight.
    """
    one = jax.vmap(partial(_one, config))
    return one(settings, flights, commands, moves, resets, words)


def _one(
    config: EnvConfig,
    setting: Setting,
    flight: Flights,
    command: Float[AnyArray, " 4"],
    moves: Bool[AnyArray, ""],
    reset: Bool[AnyArray, ""],
    word: UInt32[AnyArray, ""],
) -> tuple[Flights, View]:
    tick = partial(_tick, config, setting, jnp.asarray(command, setting.wind.dtype))
    flown, _ = jax.lax.scan(lambda flight, _: (tick(flight), None), flight, length=config.ticks)
    fresh = begin(config, setting)
    kept = jax.tree.map(lambda new, old: jnp.where(moves, new, old), flown, flight)
    after = jax.tree.map(lambda new, old: jnp.where(reset, new, old), fresh, kept)
    return after, _view(config, setting, after, word)


def _tick(
    config: EnvConfig, setting: Setting, command: Float[Array, " 4"], flight: Flights
) -> Flights:
    """One physics step of one flight, and its judgement; see `sim.engine.TwinEngine`."""
    forces = jnp.asarray(controller_of(config)(flight.twin.body, command))
    after, distance = one_tick(
        config.airframe,
        setting.mission.scene,
        flight.twin,
        forces,
        setting.wind,
        setting.mass_scale,
        config.physics,
        ticks=flight.tick,
    )
    contact, position = distance < config.airframe.collision_radius, after.body.position
    leg, outcome = outcome_of(setting.mission, flight.leg, position, contact, flight.tick)
    crashed = jnp.any(outcome == jnp.array(_CRASHES))
    new = Flights(
        twin=after,
        leg=jnp.where(crashed, flight.leg, leg),
        tick=flight.tick + 1,
        outcome=outcome,
        contact=contact,
    )
    over = flight.outcome != 0
    return jax.tree.map(lambda now, then: jnp.where(over, then, now), new, flight)


def _view(config: EnvConfig, setting: Setting, flight: Flights, word: UInt32[AnyArray, ""]) -> View:
    """What one agent sees; the rays are cast in float32, as those of `sim.eyes`."""
    body, target = flight.twin.body, setting.way.targets[flight.leg]
    scene = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), setting.mission.scene)
    key = jnp.stack([jnp.asarray(word), flight.tick.astype(jnp.uint32)])
    seen = scene_after(scene, flight.tick)
    sight = look(config.rays, seen, body, config.disturbance, key)
    return View(
        seen=see(body, target),
        ranges=sight.ranges,
        valid=sight.valid,
        to_go=jnp.asarray(way_to_go(setting.way, flight.leg, body.position)),
    )
