"""What training hears of the past: the gradient of what comes last, step by step back in time."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from lnn_nav.cells import Cell, unroll


class _Nudged:
    """A cell whose memory something is added to before each step: its last inputs."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.outputs, self.memory_size = cell, cell.outputs, cell.memory_size
        self.inputs = cell.inputs + cell.memory_size

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        features, nudge = jnp.split(inputs, (self.cell.inputs,), axis=-1)
        return self.cell(memory + nudge, features, dt)


def gradient_norms(
    cell: Cell,
    inputs: Float[Array | np.ndarray, "*sequence features"],
    dt: Array | np.ndarray | float = 1.0,
    *,
    loss: Callable[[Array], Array] = jnp.sum,
    memory: Float[Array | np.ndarray, "*memory"] | None = None,
) -> Float[Array, "*batch T"]:
    """Norm of d(loss of the last output) / d(memory at the beginning of each step).

    A curve that falls to nothing towards the past is a gradient that vanishes: what happened there
    is not learnt. Exact: one pass back through zeros that are added to the memory before each step.

    Args:
        cell: any cell.
        inputs: features `[T, i]` or `[B, T, i]`.
        dt: as in `lnn_nav.cells.unroll`.
        loss: of the last output of one sequence, `[o]` to a number; by default the sum of its
            features, whose own derivative is the same for every cell.
        memory: where to begin; zeros by default.

    Raises:
        SequenceError: a shape does not fit, or a time is negative or not finite.
    """
    inputs = jnp.asarray(inputs)

    def last(nudges: Array) -> Array:
        told = jnp.concatenate([inputs, nudges], axis=-1)
        _, outputs = unroll(_Nudged(cell), told, dt, memory=memory)
        final = outputs[..., -1, :].reshape(-1, cell.outputs)
        return jnp.sum(jax.vmap(loss)(final))

    nudges = jnp.zeros((*inputs.shape[:-1], cell.memory_size), inputs.dtype)
    return jnp.linalg.norm(jax.grad(last)(nudges), axis=-1)
