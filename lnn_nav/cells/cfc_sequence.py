"""A gated CfC over a sequence at one pace, its weights differentiated once a sequence.

Differentiated step by step, a loop adds to the derivative of every weight at every step. A change
of the weights pushes each step by what the known states weigh it with: pushes of all steps are one
product, and only the memory's own change goes through the loop. Transposed by jax, that is
backpropagation through time with one product for each weight's gradient. Equal to the loop of
steps up to rounding; forward and reverse mode, of any order.
"""

from __future__ import annotations

from functools import partial
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
    weights: Weights, memory: Float[Array, "*batch m"], sight: Float[Array, "*batch b"]
) -> tuple[Array, Array, Array]:
    """One step: the new memory, and what the backbone and the heads put out on the way.

    Args:
        weights: of the cell.
        memory: before the step.
        sight: what the inputs come to in the backbone: `inputs @ seen + shift`.
    """
    hidden = tanh(sight + memory @ weights.recalled)
    heads = tanh(hidden @ weights.kernel + weights.bias)
    return blend_at_time(heads), hidden, heads


@jax.custom_jvp
def run(
    weights: Weights, memory: Float[Array, "B m"], inputs: Float[Array, "B T i"]
) -> tuple[Float[Array, "B m"], Float[Array, "B T m"]]:
    """The memory after the last step, and after every one."""
    batch, steps, _ = inputs.shape
    sights = _times(jnp.moveaxis(inputs, 1, 0), weights.seen) + weights.shift

    # Written where they belong: stacked by a scan they would have to be turned afterwards.
    def step(t: Array, states: tuple[Array, Array]) -> tuple[Array, Array]:
        memory, memories = states
        memory, _, _ = advance(weights, memory, sights[t])
        return memory, jax.lax.dynamic_update_index_in_dim(memories, memory, t, 1)

    memories = jnp.zeros((batch, steps, memory.shape[-1]), memory.dtype)
    return jax.lax.fori_loop(0, steps, step, (memory, memories))


@run.defjvp
def _change(
    points: tuple[Weights, Array, Array], changes: tuple[Weights, Array, Array]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Change of `run`: pushes of all steps at once, then the loop of what the memory carries."""
    (weights, memory, inputs), (change, begun, moved) = points, changes
    inputs, moved = jnp.moveaxis(inputs, 1, 0), jnp.moveaxis(moved, 1, 0)

    def step(memory: Array, sight: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        memory, hidden, heads = advance(weights, memory, sight)
        return memory, (memory, hidden, heads)

    sights = _times(inputs, weights.seen) + weights.shift
    last, (memories, hidden, heads) = jax.lax.scan(step, memory, sights)
    before = jnp.concatenate([memory[None], memories[:-1]])
    to_hidden = _times(moved, weights.seen) + _times(inputs, change.seen)
    to_hidden = to_hidden + _times(before, change.recalled) + change.shift
    to_heads = _times(hidden, change.kernel) + change.bias

    # Remembered are the states alone; what is made of them is made anew on the way back.
    @partial(jax.checkpoint, prevent_cse=False)
    def carry(memory: Array, states: tuple[Array, ...]) -> tuple[Array, Array]:
        hidden, heads, to_hidden, to_heads = states
        heard = (memory @ weights.recalled + to_hidden) * (1 - hidden * hidden)
        pushed = (heard @ weights.kernel + to_heads) * (1 - heads * heads)
        _, memory = jax.jvp(blend_at_time, (heads,), (pushed,))
        return memory, memory

    final, trace = jax.lax.scan(carry, begun, (hidden, heads, to_hidden, to_heads))
    memories, trace = jnp.moveaxis(memories, 0, 1), jnp.moveaxis(trace, 0, 1)
    return (last, memories), (final, trace)


def _times(states: Float[Array, "T B n"], kernel: Float[Array, "n m"]) -> Float[Array, "T B m"]:
    """Of all steps as one table: the gradient of the kernel is then one product, copying none."""
    return (states.reshape(-1, states.shape[-1]) @ kernel).reshape(*states.shape[:-1], -1)
