"""Baselines of equal size behind the same protocol: LSTM, GRU and a memoryless MLP."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.protocol import check_step


class LSTM(nnx.Module):
    """Flax's LSTM cell; its memory is carry and hidden state side by side. Blind to `dt`."""

    def __init__(self, inputs: int, neurons: int, *, rngs: nnx.Rngs) -> None:
        """Draw the weights of `neurons` units."""
        self.inputs, self.outputs, self.memory_size = inputs, neurons, 2 * neurons
        self.cell = nnx.OptimizedLSTMCell(inputs, neurons, rngs=rngs)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by one input; see `lnn_nav.cells.protocol.Cell`."""
        check_step(self, memory, inputs, dt)
        carry, hidden = jnp.split(memory, 2, axis=-1)
        (carry, hidden), output = self.cell((carry, hidden), inputs)
        return jnp.concatenate([carry, hidden], axis=-1), output


class GRU(nnx.Module):
    """Flax's GRU cell. Blind to `dt`."""

    def __init__(self, inputs: int, neurons: int, *, rngs: nnx.Rngs) -> None:
        """Draw the weights of `neurons` units."""
        self.inputs, self.outputs, self.memory_size = inputs, neurons, neurons
        self.cell = nnx.GRUCell(inputs, neurons, rngs=rngs)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
        """Advance by one input; see `lnn_nav.cells.protocol.Cell`."""
        check_step(self, memory, inputs, dt)
        return self.cell(memory, inputs)


class MLP(nnx.Module):
    """Two hidden layers and no memory: what a liquid network has to beat. Blind to `dt`."""

    def __init__(self, inputs: int, neurons: int, *, rngs: nnx.Rngs) -> None:
        """Draw the weights of two layers of `neurons` units."""
        self.inputs, self.outputs, self.memory_size = inputs, neurons, 1
        self.first = nnx.Linear(inputs, neurons, rngs=rngs)
        self.second = nnx.Linear(neurons, neurons, rngs=rngs)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Map one input; see `lnn_nav.cells.protocol.Cell`."""
        check_step(self, memory, inputs, dt)
        return memory, jnp.tanh(self.second(jnp.tanh(self.first(inputs))))
