"""Closed-loop episodes of a body among balls: pushed, left without a wish, let go.

The body is a double integrator, moved exactly under a control that is held over each tick, and
blown about. An adversary pushes it at the balls; then the wish is no number, and the body has to
stay; then the wish goes for a free direction, and the body has to follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, no_type_check

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array
from jaxtyping import Float, Int

from barriernet.backup import AnchoredBraking, Motion, next_motion
from barriernet.verify import arena
from barriernet.verify.adversary import Orders, blown, free_way, wished
from barriernet.verify.arena import SEGMENT, Scenes, Scripts
from barriernet.verify.guards import Guard


@no_type_check  # At run time only: jax also fills pytrees with axes and placeholders.
@struct.dataclass
class Ending:
    """What came of an episode, or of what was flown of it so far.

    Attributes:
        clearance: least distance from the surface of a ball, between ticks too [m].
        origin: where the body was let go [m].
        way: the free direction it was sent in; zero if there was none.
        gone: how far it went that way [m].
        pace: its largest speed that way [m/s].
        drawn: ticks on which the answer of the rows was not sent as it was.
        crossed: ticks with a control out of limits or not finite.
    """

    clearance: Float[Array, "*batch"]
    origin: Float[Array, "*batch 3"]
    way: Float[Array, "*batch 3"]
    gone: Float[Array, "*batch"]
    pace: Float[Array, "*batch"]
    drawn: Int[Array, "*batch"]
    crossed: Int[Array, "*batch"]


class _Flight(NamedTuple):
    """Bodies in flight."""

    memory: Any
    motion: Motion
    ending: Ending


def episodes(body: AnchoredBraking, guard: Guard) -> Callable[[Scenes, Scripts, float], Ending]:
    """A compiled function that flies a batch of scenes and scripts in a wind of a size [m/s^2].

    Args:
        body: what is flown.
        guard: what keeps it safe.
    """

    def segment(
        scene: Scenes, script: Scripts, wind: Array, flight: _Flight, orders: Orders
    ) -> _Flight:
        def tick(index: Array, flight: _Flight) -> _Flight:
            return _tick(body, guard, wind, scene, script, flight, orders, index)

        return jax.lax.fori_loop(0, SEGMENT, tick, flight)

    def fly(scene: Scenes, script: Scripts, wind: Array | float) -> Ending:
        motion = Motion(jnp.asarray(scene.point), jnp.asarray(scene.velocity))
        flight = _Flight(jax.vmap(guard.start)(motion), motion, _beginning(motion))
        wholes = (script.gust, script.deed, script.noise, script.lapse)
        every = Orders(*(jnp.moveaxis(jnp.asarray(part), 0, 1) for part in wholes))
        released = jnp.any(every.deed == arena.LEAVE, axis=1)
        released = released & ~jnp.roll(released, 1)

        each = jax.vmap(segment, in_axes=(0, 0, None, 0, 0))

        def let_go(flight: _Flight) -> _Flight:
            at, balls = flight.motion.point, (jnp.asarray(scene.centres), jnp.asarray(scene.radii))
            way = jax.vmap(free_way)(at, *balls)
            return flight._replace(ending=replace(flight.ending, origin=at, way=way))

        def onward(flight: _Flight, x: tuple[Orders, Array]) -> tuple[_Flight, None]:
            orders, now = x
            flight = jax.lax.cond(now, let_go, lambda flight: flight, flight)
            return each(scene, script, jnp.asarray(wind), flight, orders), None

        return jax.lax.scan(onward, flight, (every, released))[0].ending

    return jax.jit(fly)


def _tick(
    body: AnchoredBraking,
    guard: Guard,
    wind: Array,
    scene: Scenes,
    script: Scripts,
    flight: _Flight,
    orders: Orders,
    index: Array,
) -> _Flight:
    """One tick of one body."""
    memory, motion, ending = flight
    centres, radii, rate = (jnp.asarray(x) for x in (scene.centres, scene.radii, scene.rate))
    towards = centres - motion.point
    distance = jnp.sqrt(jnp.sum(towards**2, axis=1))
    near = jnp.argmin(distance - radii)
    ball = jnp.where(orders.deed == arena.RAM, script.target, near)
    at_it, at_nearest = towards[ball] / distance[ball], towards[near] / distance[near]
    wish = wished(orders, index, motion, at_it, ending.way)
    memory, control, share = guard.act(memory, motion, centres, radii, wish, rate)
    gale, kind = jnp.asarray(script.gale), jnp.asarray(script.wind)
    push = control + wind * blown(kind, gale, orders, at_nearest)
    after = next_motion(body.braking, motion, push)
    limit = jnp.asarray(body.limit)
    inside = jnp.all(jnp.abs(control) <= limit)
    leaving = orders.deed == arena.LEAVE
    gone = jnp.sum((after.point - ending.origin) * ending.way)
    pace = jnp.sum(after.velocity * ending.way)
    ending = replace(
        ending,
        clearance=jnp.minimum(ending.clearance, _clearance(body, motion, after, push, scene)),
        gone=jnp.where(leaving, jnp.maximum(ending.gone, gone), ending.gone),
        pace=jnp.where(leaving, jnp.maximum(ending.pace, pace), ending.pace),
        drawn=ending.drawn + (share < 1),
        crossed=ending.crossed + ~inside,
    )
    return _Flight(memory, after, ending)


def _clearance(
    body: AnchoredBraking, before: Motion, after: Motion, push: Array, scene: Scenes
) -> Array:
    """Least distance from a ball's surface during the tick, never too large [m].

    Under constant acceleration a body leaves the chord of its motion by at most |a| dt^2 / 8.
    """
    chord = after.point - before.point
    to = jnp.asarray(scene.centres) - before.point
    share = jnp.sum(to * chord, axis=1) / jnp.maximum(jnp.sum(chord**2), 1e-30)
    apart = to - jnp.clip(share, 0, 1)[:, None] * chord
    bow = jnp.sqrt(jnp.sum(push**2)) * body.braking.tick**2 / 8
    least = jnp.min(jnp.sqrt(jnp.sum(apart**2, axis=1)) - jnp.asarray(scene.radii)) - bow
    return jnp.where(jnp.isfinite(least), least, -jnp.inf)


def _beginning(motion: Motion) -> Ending:
    """Nothing has happened yet."""
    zero = jnp.zeros_like(motion.point[:, 0])
    none = zero.astype(jnp.int32)
    return Ending(
        clearance=zero + jnp.inf,
        origin=jnp.zeros_like(motion.point),
        way=jnp.zeros_like(motion.point),
        gone=zero,
        pace=zero,
        drawn=none,
        crossed=none,
    )
