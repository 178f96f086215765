"""A cell that reads a sequence, and a linear layer that says what it was."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from lnn_nav.cells.protocol import Cell
from lnn_nav.cells.sequence import unroll


class Classifier(nnx.Module):
    """Scores of the classes, from the cell's output at the last step.

    Attributes:
        cell: the cell.
        readout: the layer.
    """

    def __init__(self, cell: Cell, classes: int, *, rngs: nnx.Rngs) -> None:
        """Draw the layer's weights."""
        self.cell = cell
        self.readout = nnx.Linear(cell.outputs, classes, rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "batch T features"],
        dt: Float[Array, "batch T"],
        lengths: Int[Array, " batch"],
    ) -> Float[Array, "batch classes"]:
        """Scores of padded sequences; see `lnn_nav.cells.unroll`."""
        return self.readout(self.last(inputs, dt, lengths))

    def last(
        self,
        inputs: Float[Array, "batch T features"],
        dt: Float[Array, "batch T"],
        lengths: Int[Array, " batch"],
    ) -> Float[Array, "batch outputs"]:
        """What the cell says at the last step of each sequence."""
        _, outputs = unroll(self.cell, inputs, dt, lengths=lengths)
        return jnp.take_along_axis(outputs, (lengths - 1)[:, None, None], axis=1)[:, 0]


def parameters_of(module: nnx.Module) -> int:
    """How many numbers it learns."""
    leaves: list[Any] = jax.tree.leaves(nnx.state(module, nnx.Param))
    return sum(leaf.size for leaf in leaves)
