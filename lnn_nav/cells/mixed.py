"""Mixed memory: an LSTM carries over long times what a liquid cell works with.

Lechner and Hasani, "Learning long-term dependencies in irregularly-sampled time series", 2020.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.protocol import Cell


class MixedMemory(nnx.Module):
    """An LSTM before a cell: it hears the cell's memory and hands it its own output instead.

    The memory is the LSTM's carry and the cell's memory side by side.

    Attributes:
        inputs: number of input features.
        outputs: those of the cell.
        memory_size: twice the cell's.
        cell: the cell.
        heard: from the inputs to the LSTM's four gates.
        recalled: from the cell's memory to them, without a bias.
    """

    def __init__(self, cell: Cell, *, rngs: nnx.Rngs) -> None:
        """Draw the LSTM's weights: uniform in Xavier's range, recurrent ones orthogonal."""
        size = cell.memory_size
        self.inputs, self.outputs, self.memory_size = cell.inputs, cell.outputs, 2 * size
        self.cell = cell
        xavier, orthogonal = nnx.initializers.xavier_uniform(), nnx.initializers.orthogonal()
        self.heard = nnx.Linear(cell.inputs, 4 * size, kernel_init=xavier, rngs=rngs)
        self.recalled = nnx.Linear(
            size, 4 * size, use_bias=False, kernel_init=orthogonal, rngs=rngs
        )

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by `dt` [s]; see `lnn_nav.cells.protocol.Cell`."""
        carry, recalled = jnp.split(memory, 2, axis=-1)
        gates = self.heard(inputs) + self.recalled(recalled)
        value, write, keep, read = jnp.split(gates, 4, axis=-1)
        # One more on the gate that keeps, so that a young network forgets slowly.
        kept = carry * jax.nn.sigmoid(keep + 1)
        carry = kept + jnp.tanh(value) * jax.nn.sigmoid(write)
        recalled = jnp.tanh(carry) * jax.nn.sigmoid(read)
        after, output = self.cell(recalled, inputs, dt)
        return jnp.concatenate([carry, after], axis=-1), output
