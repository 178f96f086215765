"""A cell over a sequence: the same step for every input, with time between them as it was.

A sequence is unrolled by one compiled loop. Streaming (calling the cell, input after input) gives
the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from lnn_nav.cells.protocol import Cell, CellError, Pace, Paced, check_times

FloatArray = Array | np.ndarray


class SequenceError(CellError):
    """What was given does not fit the sequence."""


class _Step(NamedTuple):
    """What a step is given, time first.

    None where all steps count, none is fresh, or all have one time: what is not there costs no
    time.
    """

    inputs: Array
    counts: Array | None
    fresh: Array | None
    dt: Array | None


def unroll(
    cell: Cell,
    inputs: Float[FloatArray, "*sequence features"],
    dt: FloatArray | float = 1.0,
    *,
    memory: Float[FloatArray, "*memory"] | None = None,
    mask: Bool[FloatArray, "*mask"] | None = None,
    lengths: Int[FloatArray, "*lengths"] | None = None,
    reset: Bool[FloatArray, "*reset"] | None = None,
    segment: int | None = None,
) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch T o"]]:
    """Advance a cell over a sequence, or over a batch of them.

    Pure; for `jit`, `grad` and `vmap`. Under `jit` numbers cannot be looked at: there a negative or
    non-finite `dt` is not refused.

    Args:
        cell: the cell.
        inputs: features, one row a step: `[T, i]`, or `[B, T, i]`.
        dt: time since the step before [s]: a number, or `[T]`, `[B, T]` or `[B, T, 1]`; zero is
            allowed.
        memory: where to begin `[*batch, m]`; zeros by default.
        mask: False for steps that are not there `[*batch, T]`: the memory stays, the output is
            zero, and their time does not pass.
        lengths: how many steps of each sequence are there, from the first `[*batch]`.
        reset: True for steps before which the memory is set to zeros `[*batch, T]`.
        segment: steps that are remembered together for the gradient; what happened between them is
            worked out anew, so that long sequences need little memory. About sqrt(T) needs least.

    Returns:
        The memory after the last step, and the output of every step.

    Raises:
        CellError: a shape does not fit (SequenceError), or a time is negative or not finite.
    """
    inputs = jnp.asarray(inputs)
    if inputs.ndim not in (2, 3) or inputs.shape[-1] != cell.inputs:
        wanted = f"[T, {cell.inputs}] or [B, T, {cell.inputs}]"
        raise SequenceError(f"inputs: expected {wanted}, got {inputs.shape}")
    shape = inputs.shape[:-1]
    memory = _beginning(cell, inputs, memory)
    times = _times(dt, shape).astype(memory.dtype)
    steps = _Step(
        inputs=inputs,
        counts=_present(mask, lengths, shape),
        fresh=_flags("reset", reset, shape),
        dt=None if times.ndim == 0 else times,
    )
    steps = jax.tree.map(lambda part: jnp.moveaxis(part, len(shape) - 1, 0), steps)

    paced = _paced(cell, times) if inputs.ndim == 3 else None

    def advance(memory: Array, step: _Step) -> tuple[Array, Array]:
        def onward(memory: Array, inputs: Array) -> tuple[Array, Array]:
            if paced is not None:
                return paced.step(memory, inputs)
            return cell(memory, inputs, times if step.dt is None else step.dt)

        fresh = None if step.fresh is None else step.fresh[..., None]
        start = memory if fresh is None else jnp.where(fresh, 0, memory)
        if step.counts is None:
            return onward(start, step.inputs)
        there = step.counts[..., None]
        # What is not there may be no number, and derivatives go through both sides of a choice.
        after, output = onward(start, jnp.where(there, step.inputs, 0))
        return jnp.where(there, after, memory), jnp.where(there, output, 0)

    plain = steps.counts is None and steps.fresh is None and segment is None
    if plain and paced is not None and paced.run is not None:
        return paced.run(memory, inputs)
    if segment is None:
        memory, outputs = jax.lax.scan(advance, memory, steps)
    else:
        memory, outputs = _in_segments(advance, memory, steps, segment)
    return memory, jnp.moveaxis(outputs, 0, len(shape) - 1)


def _paced(cell: Cell, times: Array) -> Pace | None:
    """Quicker steps, where all times are one and the cell has one."""
    return cell.at_pace(times) if times.ndim == 0 and isinstance(cell, Paced) else None


def _in_segments(
    advance: Callable[[Array, _Step], tuple[Array, Array]],
    memory: Array,
    steps: _Step,
    segment: int,
) -> tuple[Array, Array]:
    """The same loop in two, the inner one forgotten and run again for the gradient."""
    if segment < 1:
        raise SequenceError(f"segment: expected at least 1, got {segment}")
    length = steps.inputs.shape[0]
    count = math.ceil(length / segment)
    if steps.counts is None and count * segment > length:
        steps = steps._replace(counts=jnp.ones(steps.inputs.shape[:-1], bool))

    def cut(part: Array) -> Array:
        # Steps that are not there fill the last segment: zeros in `counts`.
        more = [(0, count * segment - length), *([(0, 0)] * (part.ndim - 1))]
        return jnp.pad(part, more).reshape(count, segment, *part.shape[1:])

    @jax.checkpoint
    def onward(memory: Array, steps: _Step) -> tuple[Array, Array]:
        return jax.lax.scan(advance, memory, steps)

    memory, outputs = jax.lax.scan(onward, memory, jax.tree.map(cut, steps))
    return memory, outputs.reshape(count * segment, *outputs.shape[2:])[:length]


def _beginning(cell: Cell, inputs: Array, memory: FloatArray | None) -> Array:
    """The first memory, in the dtype that the cell gives back."""
    shape = (*inputs.shape[:-2], cell.memory_size)
    begun = jnp.zeros(shape, inputs.dtype) if memory is None else jnp.asarray(memory)
    if begun.shape != shape:
        raise SequenceError(f"memory: expected {shape}, got {begun.shape}")
    after, _ = jax.eval_shape(lambda m, x: cell(m, x, 1.0), begun, inputs[..., 0, :])
    return begun.astype(jnp.result_type(begun, after.dtype))


def _times(dt: FloatArray | float, shape: tuple[int, ...]) -> Array:
    """Time of every step, in the shape of the sequence; a number stays one."""
    times = jnp.asarray(dt)
    check_times(times)
    if times.ndim == len(shape) + 1 and times.shape[-1] == 1:
        times = times[..., 0]
    if times.shape not in ((), shape[-1:], shape):
        wanted = f"a number, {shape[-1:]}, {shape} or {(*shape, 1)}"
        raise SequenceError(f"dt: expected {wanted}, got shape {jnp.shape(dt)}")
    return times if times.ndim == 0 else jnp.broadcast_to(times, shape)


def _flags(
    name: str, flags: FloatArray | None, shape: tuple[int, ...]
) -> Bool[Array, "*shape"] | None:
    if flags is None:
        return None
    flags = jnp.asarray(flags)
    if flags.shape != shape or flags.dtype != bool:
        got = f"{flags.dtype} {flags.shape}"
        raise SequenceError(f"{name}: expected bool {shape}, got {got}")
    return flags


def _present(
    mask: FloatArray | None, lengths: FloatArray | None, shape: tuple[int, ...]
) -> Bool[Array, "*shape"] | None:
    there = _flags("mask", mask, shape)
    if lengths is None:
        return there
    lengths = jnp.asarray(lengths)
    if lengths.shape != shape[:-1] or not jnp.issubdtype(lengths.dtype, jnp.integer):
        got = f"{lengths.dtype} {lengths.shape}"
        raise SequenceError(f"lengths: expected integers {shape[:-1]}, got {got}")
    before = jnp.arange(shape[-1]) < lengths[..., None]
    return before if there is None else there & before
