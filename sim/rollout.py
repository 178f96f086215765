"""Many drones under given commands on the twin: a loop that is fast forward and backward.

The batch goes last: coordinates are then rows as long as the batch, which a processor computes many
at a time (three numbers a drone it does not). Backward, a tick is computed once more from the state
before it, which costs less than to keep what it went through.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Float

from sim import twin
from sim.airframe import Airframe
from sim.physics import PLAIN, Physics
from sim.state import AnyArray, State
from sim.twin import PHYSICS_HZ, TwinState


def rollout(
    airframe: Airframe,
    begin: TwinState,
    commands: Float[AnyArray, "T *batch 4"],
    ticks: int = 1,
    physics: Physics = PLAIN,
    mass_scale: Float[AnyArray, "*#batch"] | float = 1.0,
) -> tuple[TwinState, State]:
    """Fly commands, each held for some ticks; pure, for `jit` and `grad`.

    Args:
        airframe: of all drones.
        begin: where they are, `twin.start(...)`, `[*batch, ...]`.
        commands: rotor forces [N]; applied as given, limits are the caller's concern.
        ticks: physics ticks that each command is held; 5 at 48 commands a second.
        physics: what there is besides rigid-body motion; no downwash.
        mass_scale: true mass and inertia over the airframe's.

    Returns:
        The last state, and the bodies after every command, `[T, *batch, ...]`.

    Raises:
        ValueError: `ticks` is not positive, or the physics has downwash.
    """
    if ticks < 1:
        raise ValueError(f"ticks: expected 1 or more, got {ticks}")
    if physics.downwash:
        raise ValueError("physics: expected one without downwash, got one with it")
    steps, *batch = jnp.shape(commands)[:-1]
    count = math.prod(batch)
    commands = jnp.reshape(jnp.asarray(commands), (steps, count, 4))
    scales = jnp.broadcast_to(jnp.asarray(mass_scale, commands.dtype), tuple(batch)).reshape(count)

    def one(state: TwinState, forces: AnyArray, scale: AnyArray) -> TwinState:
        return twin.step(airframe, state, forces, 1 / PHYSICS_HZ, mass_scale=scale, physics=physics)

    together = jax.vmap(one, in_axes=-1, out_axes=-1)

    @partial(jax.checkpoint, prevent_cse=False)
    def tick(state: TwinState, forces: AnyArray) -> TwinState:
        return together(state, forces, scales)

    def hold(state: TwinState, forces: AnyArray) -> tuple[TwinState, State]:
        onward = jax.lax.scan(lambda s, _: (tick(s, forces), None), state, length=ticks)[0]
        return onward, onward.body

    first = jax.tree.map(lambda leaf: _batch_last(jnp.asarray(leaf), batch), begin)
    last, bodies = jax.lax.scan(hold, first, jnp.swapaxes(commands, 1, 2))
    bodies = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 1), bodies)
    return (
        jax.tree.map(lambda leaf: _apart(jnp.moveaxis(leaf, -1, 0), 0, batch), last),
        jax.tree.map(lambda leaf: _apart(leaf, 1, batch), bodies),
    )


def _batch_last(leaf: AnyArray, batch: list[int]) -> AnyArray:
    """The first axes as one, behind all others."""
    return jnp.moveaxis(leaf.reshape(math.prod(batch), *leaf.shape[len(batch) :]), 0, -1)


def _apart(leaf: AnyArray, axis: int, batch: list[int]) -> AnyArray:
    """One axis as those of the batch."""
    return leaf.reshape(*leaf.shape[:axis], *batch, *leaf.shape[axis + 1 :])
