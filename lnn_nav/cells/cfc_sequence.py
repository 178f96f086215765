"""A gated CfC over a sequence at one pace, its weights differentiated once a sequence.

Differentiated step by step, a loop adds to the derivative of every weight at every step. A change
of the weights pushes each step by what the known states weigh it with: pushes of all steps are one
product, and only the memory's own change goes through the loop. Transposed by jax, that is
backpropagation through time with one product for each weight's gradient. Equal to the loop of
steps up to rounding; forward and reverse mode, of any order.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.activations import LECUN_SCALE, LECUN_SLOPE, tanh
from lnn_nav.cells.heads import at_time, blend_at_time, kernel_and_bias


class Weights(NamedTuple):
    """Of a gated CfC whose activations and time are folded into them.

    Attributes:
        seen: from inputs to the backbone `[i, b]`.
        recalled: from the memory to the backbone `[m, b]`.
        shift: of the backbone `[b]`.
        kernel: to f1, f2 and half the gate `[b, 3 m]`.
        bias: of these `[3 m]`.
    """

    seen: Array
    recalled: Array
    shift: Array
    kernel: Array
    bias: Array


def folded(backbone: nnx.Linear, heads: nnx.Linear, dt: Float[Array, ""]) -> Weights:
    """Weights for one pace: lecun_tanh(x) is 1.7159 tanh(0.666 x)."""
    (shared, shift), (kernel, bias) = kernel_and_bias(backbone), kernel_and_bias(heads)
    size = shared.shape[0] - bias.shape[0] // 4
    shared = LECUN_SLOPE * shared
    kernel, bias = at_time(LECUN_SCALE * kernel, bias, dt)
    return Weights(shared[:size], shared[size:], LECUN_SLOPE * shift, kernel, bias)


def advance(
    weights: Weights, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"]
) -> tuple[Array, Array, Array]:
    """One step: the new memory, and what the backbone and the heads put out on the way."""
    # Apart, so that no batch is copied to stand side by side.
    heard = inputs @ weights.seen + memory @ weights.recalled + weights.shift
    hidden = tanh(heard)
    heads = tanh(hidden @ weights.kernel + weights.bias)
    return blend_at_time(heads), hidden, heads


@jax.custom_jvp
def run(
    weights: Weights, memory: Float[Array, "B m"], inputs: Float[Array, "T B i"]
) -> tuple[Float[Array, "B m"], Float[Array, "T B m"]]:
    """The memory after the last step, and after every one."""

    def step(memory: Array, inputs: Array) -> tuple[Array, Array]:
        memory, _, _ = advance(weights, memory, inputs)
        return memory, memory

    return jax.lax.scan(step, memory, inputs)


@run.defjvp
def _change(
    points: tuple[Weights, Array, Array], changes: tuple[Weights, Array, Array]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Change of `run`: pushes of all steps at once, then the loop of what the memory carries."""
    (weights, memory, inputs), (change, begun, moved) = points, changes

    def step(memory: Array, inputs: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        memory, hidden, heads = advance(weights, memory, inputs)
        return memory, (memory, hidden, heads)

    last, (memories, hidden, heads) = jax.lax.scan(step, memory, inputs)
    before = jnp.concatenate([memory[None], memories[:-1]])
    to_hidden = moved @ weights.seen + inputs @ change.seen
    to_hidden = to_hidden + before @ change.recalled + change.shift
    to_heads = hidden @ change.kernel + change.bias

    def carry(memory: Array, states: tuple[Array, ...]) -> tuple[Array, Array]:
        hidden, heads, to_hidden, to_heads = states
        heard = (memory @ weights.recalled + to_hidden) * (1 - hidden * hidden)
        pushed = (heard @ weights.kernel + to_heads) * (1 - heads * heads)
        _, memory = jax.jvp(blend_at_time, (heads,), (pushed,))
        return memory, memory

    final, trace = jax.lax.scan(carry, begun, (hidden, heads, to_hidden, to_heads))
    return (last, memories), (final, trace)
