"""Work on the lanes that are not finished, gathered side by side.

Lanes differ in how long they take. Going on with all of them until the last is finished would
waste most of the work; so a program runs over all lanes for a while, and what is left over is
gathered into groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

APART = 16
"""Lanes: one vector of single precision, 64 or 128 bytes."""

Given = TypeVar("Given")
State = TypeVar("State")


def apart(size: int) -> int:
    """A number of lanes, at least `size`, that keeps rows apart in a core's caches.

    What lies a multiple of 4096 bytes apart has to share one small part of the first cache: with
    1024 lanes, all rows of a lane would; it triples the time.
    """
    return size + APART if size % 128 == 0 else size


def in_groups(
    program: Callable[[Given, State, Bool[Array, " size"]], State],
    given: Given,
    state: State,
    chosen: Bool[Array, " B"],
    size: int,
) -> State:
    """Run a program on the chosen lanes only, in groups of `size`.

    Args:
        program: from what is given, the state and which lanes count (the last group is filled up
            with lanes that do not) to the new state.
        given: arrays with the lanes last.
        state: arrays with the lanes last.
        chosen: which lanes to work on.
        size: lanes in a group.

    Returns:
        The state, new in the chosen lanes.
    """
    count = chosen.shape[0]
    if size >= count:
        return jax.lax.cond(
            jnp.any(chosen),
            lambda: jax.tree.map(
                lambda old, new: jnp.where(chosen, new, old), state, program(given, state, chosen)
            ),
            lambda: state,
        )
    order = jnp.nonzero(chosen, size=count, fill_value=count)[0]
    order = jnp.concatenate([order, jnp.full(size, count, order.dtype)])
    total = jnp.sum(chosen, dtype=jnp.int32)

    def step(carry: tuple[Array, State]) -> tuple[Array, State]:
        first, state = carry
        lanes = jax.lax.dynamic_slice_in_dim(order, first, size)
        there = lanes < count

        def gathered(value: Array) -> Array:
            return jnp.take(value, lanes, axis=-1, mode="clip")

        def put_back(old: Array, new: Array) -> Array:
            return old.at[..., lanes].set(new, mode="drop")

        group = jax.tree.map(gathered, (given, state))
        return first + size, jax.tree.map(put_back, state, program(*group, there))

    def waiting(carry: tuple[Array, State]) -> Array:
        return carry[0] < total

    return jax.lax.while_loop(waiting, step, (jnp.zeros((), jnp.int32), state))[1]
