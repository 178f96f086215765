"""What the neurons of a cell did: a recording of every step, and figures of every neuron."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from lnn_nav.cells import GRU, LTC, Cell, CfC, WiredCfC, WiredLTC, unroll
from lnn_nav.insight.probe import ProbeError, refusal, synapse_table

SATURATED = 0.95
"""Share of the way from the middle of its range to an end at which a neuron is saturated."""
STILL = 1e-6
"""A neuron that moves by less is dead."""


class Recording(NamedTuple):
    """A cell over a sequence, step by step; during steps that are not there nothing changes.

    Attributes:
        time: at the end of each step [s] `[*batch, T]`.
        dt: how long each took [s]; 0 for those that are not there `[*batch, T]`.
        there: whether each is there `[*batch, T]`.
        inputs: what the cell was given `[*batch, T, i]`.
        before: memory at the beginning of each step, after a reset `[*batch, T, m]`.
        memory: memory at its end `[*batch, T, m]`.
        output: `[*batch, T, o]`.
    """

    time: Float[Array, "*batch T"]
    dt: Float[Array, "*batch T"]
    there: Bool[Array, "*batch T"]
    inputs: Float[Array, "*batch T i"]
    before: Float[Array, "*batch T m"]
    memory: Float[Array, "*batch T m"]
    output: Float[Array, "*batch T o"]


class _Watched:
    """A cell whose output is all there is to see of a step."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.inputs, self.memory_size = cell, cell.inputs, cell.memory_size
        self.outputs = 2 + 2 * cell.memory_size + cell.outputs

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        after, output = self.cell(memory, inputs, dt)
        there = jnp.ones((*memory.shape[:-1], 1), memory.dtype)
        lasted = there * jnp.asarray(dt, memory.dtype)[..., None]
        return after, jnp.concatenate([there, lasted, memory, after, output], axis=-1)


def record(
    cell: Cell,
    inputs: Float[Array | np.ndarray, "*sequence features"],
    dt: Array | np.ndarray | float = 1.0,
    *,
    memory: Float[Array | np.ndarray, "*memory"] | None = None,
    mask: Bool[Array | np.ndarray, "*mask"] | None = None,
    lengths: Int[Array | np.ndarray, "*lengths"] | None = None,
    reset: Bool[Array | np.ndarray, "*reset"] | None = None,
) -> Recording:
    """Unroll a cell, and keep every step.

    Args:
        cell: the cell.
        inputs: features `[T, i]` or `[B, T, i]`.
        dt: as in `lnn_nav.cells.unroll`, and so are the others.
        memory: where to begin; zeros by default.
        mask: False for steps that are not there.
        lengths: how many steps of each sequence are there.
        reset: True for steps before which the memory is set to zeros.

    Raises:
        SequenceError: a shape does not fit, or a time is negative or not finite.
    """
    inputs, size = jnp.asarray(inputs), cell.memory_size
    _, seen = unroll(
        _Watched(cell), inputs, dt, memory=memory, mask=mask, lengths=lengths, reset=reset
    )
    there, dt = seen[..., 0] > 0, seen[..., 1]
    before, after, output = jnp.split(seen[..., 2:], (size, 2 * size), axis=-1)
    start = jnp.zeros_like(after[..., 0, :]) if memory is None else jnp.asarray(memory, seen.dtype)
    after = _held(start, after, there)
    before = jnp.where(there[..., None], before, after)
    told = jnp.where(there[..., None], inputs, 0)
    return Recording(jnp.cumsum(dt, axis=-1), dt, there, told, before, after, output)


def _held(
    start: Float[Array, "*batch m"],
    after: Float[Array, "*batch T m"],
    there: Bool[Array, "*batch T"],
) -> Float[Array, "*batch T m"]:
    """Memories, with the last one that is there in place of those that are not."""
    steps = jnp.where(there, jnp.arange(there.shape[-1]), -1)
    newest = jax.lax.cummax(steps, axis=there.ndim - 1)[..., None]
    held = jnp.take_along_axis(after, jnp.maximum(newest, 0), axis=-2)
    return jnp.where(newest < 0, start[..., None, :], held)


class Activity(NamedTuple):
    """What each neuron did, over all steps of all sequences.

    Attributes:
        mean: of its memory `[m]`.
        spread: standard deviation `[m]`.
        dead: whether it never moved `[m]`.
        saturated: share of the steps at an end of its range `[m]`; None for no range.
    """

    mean: Float[Array, " m"]
    spread: Float[Array, " m"]
    dead: Bool[Array, " m"]
    saturated: Float[Array, " m"] | None


def activity(
    recording: Recording, limits: tuple[Float[Array, " m"], Float[Array, " m"]] | None = None
) -> Activity:
    """Figures of every neuron.

    Args:
        recording: of any cell.
        limits: lowest and highest that each memory can be, as `memory_limits` gives them.

    Raises:
        ProbeError: no step of the recording is there.
    """
    size = recording.memory.shape[-1]
    memory = recording.memory.reshape(-1, size)[np.asarray(recording.there).ravel()]
    if not len(memory):
        raise ProbeError(f"recording: expected steps, got none in {recording.there.shape}")
    saturated = None
    if limits is not None:
        low, high = limits
        away = jnp.abs(memory - (low + high) / 2)
        saturated = jnp.mean(away > SATURATED * (high - low) / 2, axis=0)
    dead = jnp.ptp(memory, axis=0) < STILL
    return Activity(memory.mean(axis=0), memory.std(axis=0), dead, saturated)


def memory_limits(cell: Cell) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Lowest and highest that each memory can ever be, from a start of zeros.

    A gated CfC stays in [-1, 1] and one without a gate in [-2, 2]; a neuron of an LTC between the
    lowest and the highest potential that anything pulls it to.

    Raises:
        ProbeError: the cell has no such limits.
    """
    if isinstance(cell, CfC | WiredCfC) and cell.mode != "pure" and cell.squash == "tanh":
        most = jnp.full(cell.memory_size, 1.0 if cell.mode == "gated" else 2.0)
        return -most, most
    if isinstance(cell, GRU):
        return -jnp.ones(cell.memory_size), jnp.ones(cell.memory_size)
    if isinstance(cell, LTC | WiredLTC):
        parts = (cell.senses.reversal[...], cell.synapses.reversal[...])
        # Zero is where it starts, and what the least leak of all pulls to.
        anchors = [
            cell.rest[...][None],
            jnp.zeros((1, cell.memory_size)),
            synapse_table(cell, *parts),
        ]
        pulls = jnp.concatenate(anchors)
        return pulls.min(axis=0), pulls.max(axis=0)
    if isinstance(cell, CfC | WiredCfC):
        raise ProbeError(
            "cell: a range of its memory is known of the modes gated and no_gate with squash "
            f"'tanh', got mode {cell.mode!r} with {cell.squash!r}"
        )
    raise refusal("a range of its memory", (CfC, WiredCfC, LTC, WiredLTC, GRU), cell)
