"""A gated recurrent unit in continuous time (GRU-ODE).

De Brouwer, Simm, Arany and Moreau, "GRU-ODE-Bayes", NeurIPS 2019, equation 3, with an input:

    r = sigmoid(W_r [x, h] + b_r)    z = sigmoid(W_z [x, h] + b_z)    g = tanh(W_g [x, r h] + b_g)
    dh/dt = (1 - z) (g - h).

The rate pulls towards g in (-1, 1), so on the exact path |h| <= max(1, |h(0)|). Euler's steps keep
that exactly while none is longer than 1 s (`dt <= steps`): each is then a convex combination. Above
2 s a step may grow the memory; for such times give an adaptive `Integration`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells._ode import Integration, diffrax_or_error, integrate

FLOWN = Integration("euler", steps=4)
"""Four steps of Euler an input, as in the networks that flew."""


class GRUODE(nnx.Module):
    """GRU-ODE cell; the output is the new memory.

    Attributes:
        inputs: number of input features.
        outputs: number of output features, equal to the memory's.
        memory_size: number of neurons.
        integration: how the equation is solved.
        reset: r, from input and memory side by side.
        update: z, likewise.
        candidate: g, likewise.
    """

    def __init__(
        self, inputs: int, neurons: int, *, integration: Integration = FLOWN, rngs: nnx.Rngs
    ) -> None:
        """Draw the weights (float32): Xavier-uniform; the bias of `reset` is one.

        Raises:
            ValueError: if a size is not positive.
            LiquidExtraError: diffrax is not installed.
        """
        if min(inputs, neurons) < 1:
            raise ValueError(f"inputs, neurons: expected at least 1, got {inputs} and {neurons}")
        diffrax_or_error()
        self.inputs, self.integration = inputs, nnx.static(integration)
        self.outputs = self.memory_size = neurons
        xavier, ones = nnx.initializers.xavier_uniform(), nnx.initializers.ones
        sizes = inputs + neurons, neurons
        self.reset = nnx.Linear(*sizes, kernel_init=xavier, bias_init=ones, rngs=rngs)
        self.update = nnx.Linear(*sizes, kernel_init=xavier, rngs=rngs)
        self.candidate = nnx.Linear(*sizes, kernel_init=xavier, rngs=rngs)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
        """Advance by `dt` [s]; `dt = 0` leaves the memory as it is."""
        layers = (self.reset, self.update, self.candidate)
        # The input does not change between the steps: its share is worked out once.
        from_inputs, recurrent = [], []
        for layer in layers:
            kernel, bias = layer.kernel[...], 0.0 if layer.bias is None else layer.bias[...]
            from_inputs.append(inputs @ kernel[: self.inputs] + bias)
            recurrent.append(kernel[self.inputs :])

        def rate(hidden: Array, reset: Array, update: Array, candidate: Array) -> Array:
            reset = jax.nn.sigmoid(reset + hidden @ recurrent[0])
            update = jax.nn.sigmoid(update + hidden @ recurrent[1])
            candidate = jnp.tanh(candidate + (reset * hidden) @ recurrent[2])
            return (1 - update) * (candidate - hidden)

        memory = integrate(rate, memory, tuple(from_inputs), dt, self.integration)
        return memory, memory
