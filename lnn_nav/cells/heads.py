"""What the heads of a CfC make of a memory: the equations of `lnn_nav.cells.cfc`."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float

from lnn_nav.cells.activations import activation

MODES = ("gated", "no_gate", "pure")


def kernel_and_bias(layer: nnx.Linear) -> tuple[Array, Array]:
    """Of a layer that has both."""
    if layer.bias is None:
        raise ValueError("layer: expected one with a bias")
    return layer.kernel[...], layer.bias[...]


def heads_of(mode: str) -> int:
    """How many numbers each neuron's new memory is made of."""
    return 1 if mode == "pure" else 4


def check_mode(mode: str, *activations: str) -> None:
    """Refuse what is no mode or no activation.

    Raises:
        ValueError: for what it is.
    """
    if mode not in MODES:
        raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
    for name in activations:
        activation(name)


def at_time(
    kernel: Float[Array, "heard heads"], bias: Float[Array, " heads"], dt: Float[Array, ""]
) -> tuple[Float[Array, "heard fewer"], Float[Array, " fewer"]]:
    """Weights of f1, f2 and (a dt + b) / 2, one after the other, of those of f1, f2, a and b."""
    parts = [jnp.split(table, 4, axis=-1) for table in (kernel, bias)]
    dt = dt.astype(kernel.dtype)
    kernel, bias = (jnp.concatenate([f, g, (a * dt + b) / 2], -1) for f, g, a, b in parts)
    return kernel, bias


def blend_at_time(squashed: Float[Array, "*batch heads"]) -> Float[Array, "*batch m"]:
    """New memory of the gated mode from the tanh of what `at_time` weighs.

    The sigmoid of the gate is (1 + tanh(half of it)) / 2.
    """
    first, second, gate = jnp.split(squashed, 3, axis=-1)
    return first + (second - first) * (0.5 + 0.5 * gate)


def blend(
    heads: Float[Array, "*batch heads"], elapsed: Float[Array, "*#batch 1"], mode: str, squash: str
) -> Float[Array, "*batch m"]:
    """New memory of the gated modes from f1, f2, a and b, one after the other."""
    first, second, slope, offset = jnp.split(heads, 4, axis=-1)
    first, second = activation(squash)(first), activation(squash)(second)
    gate = jax.nn.sigmoid(slope * elapsed + offset)
    return (first if mode == "no_gate" else first * (1 - gate)) + second * gate


def settle(
    force: Float[Array, "*batch m"],
    decay: Float[Array, " m"],
    rest: Float[Array, " m"],
    elapsed: Float[Array, "*#batch 1"],
) -> Float[Array, "*batch m"]:
    """New memory of the pure mode."""
    left = jnp.exp(-elapsed * (jnp.abs(decay) + jnp.abs(force)))
    return rest - rest * left * force


def blocks_of_xavier(heads: int) -> nnx.Initializer:
    """Xavier-uniform for each head on its own, not for the wide matrix."""

    def init(key: Array, shape: tuple[int, int], dtype: DTypeLike) -> Array:
        draw = nnx.initializers.xavier_uniform()
        blocks = [(shape[0], shape[1] // heads)] * heads
        keys = jax.random.split(key, heads)
        drawn = [draw(k, block, dtype) for k, block in zip(keys, blocks, strict=True)]
        return jnp.concatenate(drawn, axis=1)

    return init
