"""The closed-form continuous-time cell (CfC), gated form.

Hasani, Lechner, Amini et al., "Closed-form continuous-time neural networks", Nature Machine
Intelligence 4 (2022), equation 10: with x = [input, memory] through a shared backbone,

    memory' = f1(x) (1 - s) + f2(x) s,    s = sigmoid(a(x) dt + b(x)),

f1, f2 bounded by tanh. The memory is a convex combination of two numbers in [-1, 1], so it never
leaves [-1, 1], whatever the weights, the input and dt.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float

LECUN_SCALE, LECUN_SLOPE = 1.7159, 0.666


def lecun_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1.7159 tanh(0.666 x), the backbone's activation in every published CfC."""
    return LECUN_SCALE * jnp.tanh(LECUN_SLOPE * x)


class CfC(nnx.Module):
    """Gated CfC cell with a one-layer backbone; the output is the new memory.

    Attributes:
        inputs: number of input features.
        outputs: number of output features, equal to the memory's.
        memory_size: number of neurons.
        backbone: the shared layer.
        heads: f1, f2, a and b side by side in one matrix.
    """

    def __init__(self, inputs: int, neurons: int, backbone: int, *, rngs: nnx.Rngs) -> None:
        """Draw the weights (float32).

        Args:
            inputs: number of input features.
            neurons: number of neurons, the size of the memory and of the output.
            backbone: width of the shared layer.
            rngs: source of randomness.

        Raises:
            ValueError: if a size is not positive.
        """
        for name, size in (("inputs", inputs), ("neurons", neurons), ("backbone", backbone)):
            if size < 1:
                raise ValueError(f"{name}: expected a positive size, got {size}")
        self.inputs = inputs
        self.outputs = self.memory_size = neurons
        xavier = nnx.initializers.xavier_uniform()
        self.backbone = nnx.Linear(inputs + neurons, backbone, kernel_init=xavier, rngs=rngs)
        self.heads = nnx.Linear(backbone, 4 * neurons, kernel_init=_four_blocks, rngs=rngs)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
        """Advance by `dt` [s]; see `lnn_nav.cells.protocol.Cell`."""
        hidden = lecun_tanh(self.backbone(jnp.concatenate([inputs, memory], axis=-1)))
        first, second, slope, offset = jnp.split(self.heads(hidden), 4, axis=-1)
        elapsed = jnp.asarray(dt, hidden.dtype)[..., None]
        gate = jax.nn.sigmoid(slope * elapsed + offset)
        memory = jnp.tanh(first) * (1 - gate) + jnp.tanh(second) * gate
        return memory, memory


def _four_blocks(key: Array, shape: tuple[int, int], dtype: DTypeLike) -> Array:
    """Xavier-uniform for each of the four heads on its own, not for the wide matrix."""
    blocks = [(shape[0], shape[1] // 4)] * 4
    draw = nnx.initializers.xavier_uniform()
    keys = jax.random.split(key, 4)
    return jnp.concatenate(
        [draw(k, block, dtype) for k, block in zip(keys, blocks, strict=True)], axis=1
    )
