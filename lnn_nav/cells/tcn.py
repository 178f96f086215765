"""Temporal convolutions (TCN), one input at a time.

Bai, Kolter and Koltun, "An empirical evaluation of generic convolutional and recurrent networks for
sequence modeling", 2018: residual blocks of two causal convolutions with ReLU, dilated by 1, 2, 4
and so on. The memory holds, of every convolution, the inputs that it will need again, the oldest
first; zeros at the start are the zeros that a convolution over a sequence is padded with.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float


class TCN(nnx.Module):
    """TCN cell; the output is that of the last block. Blind to `dt`.

    Attributes:
        inputs: number of input features.
        outputs: number of output features.
        memory_size: numbers that the convolutions remember, all of them together.
        receptive_field: inputs, the last one and those before, that an output depends on.
        convolutions: two of each block.
        shortcut: around the first block, where it changes the number of features.
    """

    def __init__(
        self, inputs: int, neurons: int, blocks: int = 4, taps: int = 3, *, rngs: nnx.Rngs
    ) -> None:
        """Draw the weights (float32).

        Args:
            inputs: number of input features.
            neurons: features after every convolution.
            blocks: how many; the dilation doubles from one to the next.
            taps: inputs that a convolution sees at once.
            rngs: source of randomness.

        Raises:
            ValueError: if a size is not positive, or there are fewer than two taps.
        """
        if min(inputs, neurons, blocks) < 1 or taps < 2:
            found = (inputs, neurons, blocks, taps)
            raise ValueError(f"inputs, neurons, blocks >= 1 and taps >= 2 expected, got {found}")
        self.inputs, self.outputs = inputs, neurons
        self.receptive_field = 1 + 2 * (taps - 1) * (2**blocks - 1)
        self.convolutions = nnx.List(
            Convolution(neurons if k else inputs, neurons, taps, 2 ** (k // 2), rngs=rngs)
            for k in range(2 * blocks)
        )
        self.shortcut = nnx.Linear(inputs, neurons, rngs=rngs) if inputs != neurons else None
        self.memory_size = sum(part.memory_size for part in self.convolutions)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by one input; see `lnn_nav.cells.protocol.Cell`."""
        signal, kept, start = inputs, [], 0
        for k in range(0, len(self.convolutions), 2):
            hidden = signal
            for layer in (self.convolutions[k], self.convolutions[k + 1]):
                held = memory[..., start : (start := start + layer.memory_size)]
                held, hidden = layer(held, hidden, dt)
                kept.append(held)
                hidden = jax.nn.relu(hidden)
            if k == 0 and self.shortcut is not None:
                signal = self.shortcut(signal)
            signal = jax.nn.relu(signal + hidden)
        return jnp.concatenate(kept, axis=-1), signal


class Convolution(nnx.Module):
    """One causal convolution; the memory is its last inputs, side by side, the oldest first.

    Attributes:
        inputs: number of input features.
        outputs: number of output features.
        memory_size: inputs that are kept, times features.
        dilation: how many inputs one tap lies before the next.
        kernel: the last tap sees the input of now `[taps, inputs, outputs]`.
        bias: of every output.
    """

    def __init__(
        self, inputs: int, outputs: int, taps: int, dilation: int, *, rngs: nnx.Rngs
    ) -> None:
        """Draw the kernel, by He's rule for ReLU."""
        self.inputs, self.outputs, self.dilation = inputs, outputs, dilation
        self.memory_size = (taps - 1) * dilation * inputs
        he = nnx.initializers.he_normal()
        self.kernel = nnx.Param(he(rngs(), (taps, inputs, outputs), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(outputs, jnp.float32))

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by one input; see `lnn_nav.cells.protocol.Cell`."""
        del dt
        kernel = self.kernel[...]
        seen = jnp.concatenate([memory, inputs], axis=-1)
        taps = seen.reshape(*seen.shape[:-1], -1, self.inputs)[..., :: self.dilation, :]
        output = jnp.einsum("...ti,tio->...o", taps, kernel) + self.bias[...]
        return seen[..., self.inputs :], output
