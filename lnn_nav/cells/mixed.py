"""Mixed memory: an LSTM carries over long times what a liquid cell works with.

Lechner and Hasani, "Learning long-term dependencies in irregularly-sampled time series", 2020.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.protocol import Cell, check_step

PLACES = ("memory", "inputs")


class MixedMemory(nnx.Module):
    """An LSTM before a cell: it hears the inputs and the cell's memory, and its output goes on.

    In the place of the cell's memory, and the cell hears the inputs too (`ncps.torch`), or in the
    place of the inputs, and the cell keeps a memory of its own (the paper; `ncps.keras`). The
    memory is the LSTM's carry and the cell's memory side by side.

    Attributes:
        inputs: number of input features.
        outputs: those of the cell.
        memory_size: twice the cell's.
        place: where the LSTM's output goes.
        forget: added to the gate that keeps.
        cell: the cell.
        heard: from the inputs to the LSTM's four gates.
        recalled: from the cell's memory to them, without a bias.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        inputs: int | None = None,
        place: str = "memory",
        forget: float = 1.0,
        rngs: nnx.Rngs,
    ) -> None:
        """Draw the LSTM's weights: uniform in Xavier's range, recurrent ones orthogonal.

        Args:
            cell: the cell; where `place` is "inputs", one of as many inputs as neurons.
            inputs: number of input features; those of the cell by default.
            place: of the LSTM's output, "memory" or "inputs".
            forget: added to the gate that keeps, so that a young network forgets slowly.
            rngs: source of randomness.

        Raises:
            ValueError: the place is unknown, or the cell has not so many inputs.
        """
        if place not in PLACES:
            raise ValueError(f"place: expected one of {', '.join(PLACES)}, got {place!r}")
        size = cell.memory_size
        inputs = cell.inputs if inputs is None else inputs
        if cell.inputs != (wanted := inputs if place == "memory" else size):
            raise ValueError(f"cell: expected one of {wanted} inputs, got {cell.inputs}")
        self.inputs, self.outputs, self.memory_size = inputs, cell.outputs, 2 * size
        self.cell, self.place, self.forget = cell, place, forget
        xavier, orthogonal = nnx.initializers.xavier_uniform(), nnx.initializers.orthogonal()
        self.heard = nnx.Linear(inputs, 4 * size, kernel_init=xavier, rngs=rngs)
        self.recalled = nnx.Linear(
            size, 4 * size, use_bias=False, kernel_init=orthogonal, rngs=rngs
        )

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by `dt` [s]; see `lnn_nav.cells.protocol.Cell`."""
        check_step(self, memory, inputs, dt)
        carry, before = jnp.split(memory, 2, axis=-1)
        gates = self.heard(inputs) + self.recalled(before)
        value, write, keep, read = jnp.split(gates, 4, axis=-1)
        kept = carry * jax.nn.sigmoid(keep + self.forget)
        carry = kept + jnp.tanh(value) * jax.nn.sigmoid(write)
        recalled = jnp.tanh(carry) * jax.nn.sigmoid(read)
        if self.place == "memory":
            after, output = self.cell(recalled, inputs, dt)
        else:
            after, output = self.cell(before, recalled, dt)
        return jnp.concatenate([carry, after], axis=-1), output
