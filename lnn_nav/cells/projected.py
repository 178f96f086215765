"""A linear map after a cell."""

from __future__ import annotations

from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.protocol import Cell, check_step


class Projected(nnx.Module):
    """A cell whose output passes a linear layer.

    Attributes:
        inputs: number of input features.
        outputs: number of output features.
        memory_size: the cell's.
        cell: the cell.
        readout: the layer.
    """

    def __init__(self, cell: Cell, outputs: int, *, rngs: nnx.Rngs) -> None:
        """Draw the layer's weights."""
        self.inputs, self.outputs, self.memory_size = cell.inputs, outputs, cell.memory_size
        self.cell = cell
        self.readout = nnx.Linear(cell.outputs, outputs, rngs=rngs)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by `dt` [s]; see `lnn_nav.cells.protocol.Cell`."""
        check_step(self, memory, inputs, dt)
        memory, output = self.cell(memory, inputs, dt)
        return memory, self.readout(output)
