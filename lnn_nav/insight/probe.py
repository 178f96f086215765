"""What all probes of cells share."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from lnn_nav.cells import LTC, Cell, WiredLTC


class ProbeError(ValueError):
    """A cell has not what was asked of it, or a figure of it has another shape."""


def refusal(what: str, kinds: tuple[type, ...], cell: object) -> ProbeError:
    """The sentence for a cell that has not what was asked.

    Args:
        what: was asked.
        kinds: of cells that have it.
        cell: that was given.
    """
    names = ", ".join(kind.__name__ for kind in kinds)
    return ProbeError(f"cell: {what} is known of {names}, got {type(cell).__name__}")


def check_point(
    cell: Cell, memory: Float[Array, "*memory"], inputs: Float[Array, "*inputs"]
) -> None:
    """Refuse memories or inputs of another size than the cell's.

    Raises:
        ProbeError: naming which, the size that was expected, and the shape that came.
    """
    for name, part, size in (
        ("memory", memory, cell.memory_size),
        ("inputs", inputs, cell.inputs),
    ):
        if part.shape[-1:] != (size,):
            raise ProbeError(f"{name}: expected [..., {size}], got {part.shape}")


def synapse_table(
    cell: LTC | WiredLTC, senses: Float[Array, "*senses"], synapses: Float[Array, "*synapses"]
) -> Float[Array, "*batch sources m"]:
    """A number of every synapse of an LTC, each in its place; 0 where there is none.

    Args:
        cell: an LTC, wired or not.
        senses: of the synapses from its inputs, as its parameters have them.
        synapses: of those between neurons.

    Returns:
        From source (the inputs, then the neurons) to neuron, `[*batch, inputs + m, m]`.
    """
    if isinstance(cell, WiredLTC):
        senses = _placed(senses, cell.wiring.senses)
        synapses = _placed(synapses, cell.wiring.synapses)
    return jnp.concatenate([senses, synapses], axis=-2)


def _placed(
    listed: Float[Array, "*batch synapses"], table: Int[np.ndarray, "sources m"]
) -> Float[Array, "*batch sources m"]:
    rows, columns = np.nonzero(table)
    empty = jnp.zeros((*listed.shape[:-1], *table.shape), listed.dtype)
    return empty.at[..., rows, columns].set(listed)
