"""How fast the memory of a cell moves, and how far what differs is carried on in a step."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from lnn_nav.cells import Cell
from lnn_nav.insight.neurons import Recording
from lnn_nav.insight.probe import check_point


def lipschitz(recording: Recording, *, per_second: bool = True) -> Float[Array, "*batch m"]:
    """Largest speed of every neuron over a recording: Lipschitz constant of its memory in time.

    Args:
        recording: of any cell.
        per_second: [1/s]; steps that last no time are left out. If False, the largest difference a
            step, as the estimate for the drones of Chahine et al. (Science Robotics 2023) has it.
    """
    moved = jnp.abs(recording.memory - recording.before)
    if per_second:
        lasted = recording.dt[..., None]
        moved = jnp.where(lasted > 0, moved / jnp.where(lasted > 0, lasted, 1), 0)
    return moved.max(axis=-2)


class StepLipschitz(NamedTuple):
    """Lipschitz constants of one step at a point: largest singular values of its derivatives.

    Attributes:
        memory: |change of the new memory| / |change of the memory| `[*batch]`.
        inputs: |change of the new memory| / |change of the inputs| `[*batch]`.
    """

    memory: Float[Array, "*batch"]
    inputs: Float[Array, "*batch"]


def step_lipschitz(
    cell: Cell,
    memory: Float[Array, "*batch m"],
    inputs: Float[Array, "*batch i"],
    dt: Array | float = 1.0,
) -> StepLipschitz:
    """Local Lipschitz constants of the step with respect to memory and inputs.

    No small change of the memory (or of the inputs) becomes one of the new memory that is larger
    than this many times, to first order; below 1 what differed comes together again.

    Args:
        cell: any cell.
        memory: at the beginning of the step.
        inputs: features.
        dt: how long it takes [s]: a scalar, or one value a batch element.

    Raises:
        ProbeError: a shape does not fit the cell.
    """
    check_point(cell, memory, inputs)
    shape = memory.shape[:-1]
    times = jnp.broadcast_to(jnp.asarray(dt, memory.dtype), shape).reshape(-1)

    def largest(memory: Array, inputs: Array, dt: Array) -> tuple[Array, Array]:
        slopes = jax.jacobian(lambda m, i: cell(m, i, dt)[0], (0, 1))(memory, inputs)
        to_memory, to_inputs = (jnp.linalg.norm(slope, ord=2) for slope in slopes)
        return to_memory, to_inputs

    flat = (part.reshape(-1, part.shape[-1]) for part in (memory, inputs))
    to_memory, to_inputs = jax.vmap(largest)(*flat, times)
    return StepLipschitz(to_memory.reshape(shape), to_inputs.reshape(shape))
