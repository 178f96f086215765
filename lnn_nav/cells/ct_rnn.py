"""The continuous-time recurrent network (CT-RNN), as it flew.

Funahashi and Nakamura, "Approximation of dynamical systems by continuous time recurrent neural
networks", Neural Networks 6 (1993), with a scale of every neuron, as in Chahine et al., "Robust
flight navigation out of distribution with liquid neural networks", Science Robotics 8 (2023):

    dh/dt = scale tanh(x W + h U + b) - decay h.

The right side pulls back whatever is further out than |scale| / decay, so on the exact path no
neuron leaves [-r, r], r = max(|h(0)|, |scale| / decay); a solver keeps that up to its error.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells._ode import Integration, diffrax_or_error, integrate

FLOWN = Integration(
    "dopri5",
    rtol=1e-2,
    atol=1e-4,
    first_step=1e-2,
    safety=0.8,
    least_factor=0.1,
    greatest_factor=10.0,
)
"""Dormand and Prince's solver with the tolerances of the networks that flew."""


class CTRNN(nnx.Module):
    """CT-RNN cell; the output is the new memory.

    Attributes:
        inputs: number of input features.
        outputs: number of output features, equal to the memory's.
        memory_size: number of neurons.
        decay: of every neuron [1/s].
        integration: how the equation is solved.
        kernel: W `[inputs, neurons]`.
        recurrent: U `[neurons, neurons]`.
        bias: b.
        scale: of every neuron [1/s].
    """

    def __init__(
        self,
        inputs: int,
        neurons: int,
        *,
        decay: float = 1.0,
        integration: Integration = FLOWN,
        rngs: nnx.Rngs,
    ) -> None:
        """Draw the weights (float32): Xavier-uniform, recurrent ones orthogonal.

        Raises:
            ValueError: if a size or the decay is not positive.
            LiquidExtraError: diffrax is not installed.
        """
        if min(inputs, neurons) < 1:
            raise ValueError(f"inputs, neurons: expected at least 1, got {inputs} and {neurons}")
        if not 0 < decay < float("inf"):
            raise ValueError(f"decay: expected a positive number, got {decay}")
        diffrax_or_error()
        self.inputs, self.decay, self.integration = inputs, decay, nnx.static(integration)
        self.outputs = self.memory_size = neurons
        xavier, orthogonal = nnx.initializers.xavier_uniform(), nnx.initializers.orthogonal()
        self.kernel = nnx.Param(xavier(rngs(), (inputs, neurons), jnp.float32))
        self.recurrent = nnx.Param(orthogonal(rngs(), (neurons, neurons), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(neurons, jnp.float32))
        self.scale = nnx.Param(jnp.ones(neurons, jnp.float32))

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
        """Advance by `dt` [s]; `dt = 0` leaves the memory as it is."""
        recurrent, scale = self.recurrent[...], self.scale[...]

        def rate(hidden: Array, heard: Array) -> Array:
            return scale * jnp.tanh(heard + hidden @ recurrent) - self.decay * hidden

        heard = inputs @ self.kernel[...] + self.bias[...]
        memory = integrate(rate, memory, (heard,), dt, self.integration)
        return memory, memory
