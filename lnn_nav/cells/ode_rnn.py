"""A recurrent network whose memory moves between inputs (ODE-RNN).

Rubanova, Chen and Duvenaud, "Latent ordinary differential equations for irregularly-sampled time
series", NeurIPS 2019, algorithm 1: over the time since the last input the memory follows

    dh/dt = B tanh(A h + a) + b,

then a GRU takes the input in. A rate is at most c = sum |B| + |b|, so a memory grows at most by
c dt, and the GRU brings it no further out than max(1, |h|).
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells._ode import Integration, diffrax_or_error, integrate

FOUR_STEPS = Integration("euler", steps=4)


class ODERNN(nnx.Module):
    """ODE-RNN cell; the output is the new memory.

    Attributes:
        inputs: number of input features.
        outputs: number of output features, equal to the memory's.
        memory_size: number of neurons.
        integration: how the equation is solved.
        hidden: A and a.
        rate: B and b.
        cell: flax's GRU.
    """

    def __init__(
        self,
        inputs: int,
        neurons: int,
        width: int | None = None,
        *,
        integration: Integration = FOUR_STEPS,
        rngs: nnx.Rngs,
    ) -> None:
        """Draw the weights (float32).

        Args:
            inputs: number of input features.
            neurons: number of neurons, the size of the memory and of the output.
            width: of the equation's hidden layer; as many as neurons by default.
            integration: how the equation is solved.
            rngs: source of randomness.

        Raises:
            ValueError: if a size is not positive.
            LiquidExtraError: diffrax is not installed.
        """
        width = neurons if width is None else width
        if min(inputs, neurons, width) < 1:
            raise ValueError(f"inputs, neurons, width: expected >= 1: {inputs, neurons, width}")
        diffrax_or_error()
        self.inputs, self.integration = inputs, nnx.static(integration)
        self.outputs = self.memory_size = neurons
        self.hidden = nnx.Linear(neurons, width, rngs=rngs)
        self.rate = nnx.Linear(width, neurons, rngs=rngs)
        self.cell = nnx.GRUCell(inputs, neurons, rngs=rngs)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
        """Advance by `dt` [s]; see `lnn_nav.cells.protocol.Cell`."""

        def rate(hidden: Array) -> Array:
            return self.rate(jnp.tanh(self.hidden(hidden)))

        return self.cell(integrate(rate, memory, (), dt, self.integration), inputs)
