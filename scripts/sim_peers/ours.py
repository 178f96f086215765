"""Our engines: PyBullet's and the twin, alone and in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from sim import CF2X, TwinState, at_rest, rollout, start
from sim.bullet import BulletEngine
from sim.swarm import BulletSwarm
from sim_peers.case import START, Case, world_of

BATCHES = (1, 64, 1024)
SUBSTEPS = 5
HORIZON = 48
"""Control steps of a batched flight."""


def engine() -> Iterator[Case]:
    """Contacts are looked for at every physics tick, the state is read after every command."""
    forces = [CF2X.hover_force] * 4
    for obstacles in (0, 50):
        body = BulletEngine(CF2X, world_of(obstacles))
        for rate in (48, 240):

            def run(body: BulletEngine = body, ticks: int = 240 // rate) -> None:
                body.step(forces, ticks=ticks)

            yield Case("lnn_nav, PyBullet", 1, obstacles, rate, run)


def swarm(drones: int = 8) -> Iterator[Case]:
    """Drones in one server, a row of them; contacts at every physics tick, states every command."""
    forces = np.full((drones, 4), CF2X.hover_force)
    places = np.array(START) + [[0.0, 0.3 * i, 0.0] for i in range(drones)]
    for obstacles in (0, 50):
        bodies = BulletSwarm(CF2X, world_of(obstacles), drones)
        bodies.reset(at_rest(places))
        for rate in (48, 240):

            def run(bodies: BulletSwarm = bodies, ticks: int = 240 // rate) -> None:
                bodies.step(forces, ticks)

            yield Case("lnn_nav, PyBullet", drones, obstacles, rate, run)


def resets() -> Callable[[], object]:
    """The same world from the start, 50 obstacles."""
    return BulletEngine(CF2X, world_of(50)).reset


def batches() -> Iterator[Case]:
    """The twin in float32, one compiled loop; steps are those of all its drones together."""
    for batch in BATCHES:
        flown = jax.jit(partial(_flown, batch))
        run = partial(_waited, flown, _commands(batch))
        yield Case(f"lnn_nav, twin, {batch} at once", 1, 0, 48, run, HORIZON * batch)


def slope(batch: int = 64, seconds: float = 2.0) -> Callable[[], object]:
    """Gradient of the last positions by all commands at 48 Hz."""

    def loss(commands: jax.Array) -> jax.Array:
        return jnp.sum(_flown(batch, commands).body.position ** 2)

    return partial(_waited, jax.jit(jax.grad(loss)), _commands(batch, int(48 * seconds)))


def _commands(batch: int, steps: int = HORIZON) -> jax.Array:
    spread = np.random.default_rng(0).uniform(0.95, 1.05, (steps, batch, 4))
    return jnp.asarray(CF2X.hover_force * spread, jnp.float32)


def _flown(batch: int, commands: jax.Array) -> TwinState:
    """Where the twin is after commands `[steps, batch, 4]`."""
    begin = start(at_rest(jnp.broadcast_to(jnp.asarray(START, jnp.float32), (batch, 3))))
    return rollout(CF2X, begin, commands, SUBSTEPS)[0]


def _waited(call: Callable[[jax.Array], object], commands: jax.Array) -> object:
    return jax.block_until_ready(call(commands))
