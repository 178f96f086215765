"""The closed-form continuous-time cell (CfC) in its three modes.

Hasani, Lechner, Amini et al., "Closed-form continuous-time neural networks", Nature Machine
Intelligence 4 (2022): with x = [input, memory] through a shared backbone and heads f1, f2, a, b,

    gated     memory' = f1 (1 - s) + f2 s,    s = sigmoid(a dt + b)    (equation 10)
    no_gate   memory' = f1 + f2 s
    pure      memory' = A - A f exp(-dt (|w| + |f|))                   (the solution itself)

f1 and f2 are bounded by tanh, so a gated memory is a convex combination of two numbers in [-1, 1]
and never leaves [-1, 1], whatever the weights, the input and dt; without the gate it stays in
[-2, 2]. In the pure mode f is linear and |memory| <= |A| (1 + 1 / (e dt)).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.activations import activation
from lnn_nav.cells.activations import lecun_tanh as lecun_tanh
from lnn_nav.cells.cfc_sequence import advance, folded, run
from lnn_nav.cells.heads import blend, blocks_of_xavier, check_mode, heads_of, settle
from lnn_nav.cells.protocol import Pace, check_step


class CfC(nnx.Module):
    """Fully connected CfC cell; the output is the new memory.

    Attributes:
        inputs: number of input features.
        outputs: number of output features, equal to the memory's.
        memory_size: number of neurons.
        backbone: the first shared layer, or None.
        deeper: shared layers after it.
        heads: f1, f2, a and b side by side in one matrix; f alone in the pure mode.
        decay: w of the pure mode, else None.
        rest: A of the pure mode, else None.
    """

    def __init__(
        self,
        inputs: int,
        neurons: int,
        backbone: int | Sequence[int] = 128,
        *,
        mode: str = "gated",
        activation: str = "lecun_tanh",
        squash: str = "tanh",
        rngs: nnx.Rngs,
    ) -> None:
        """Draw the weights (float32).

        Args:
            inputs: number of input features.
            neurons: number of neurons, the size of the memory and of the output.
            backbone: width of the shared layer, or of several; none at all for `()`.
            mode: see the module.
            activation: after every shared layer.
            squash: activation of f1 and f2; bounds hold for tanh.
            rngs: source of randomness.

        Raises:
            ValueError: if a size is not positive, or a mode or activation is unknown.
        """
        widths = (backbone,) if isinstance(backbone, int) else tuple(backbone)
        sizes = [("inputs", inputs), ("neurons", neurons), *(("backbone", w) for w in widths)]
        for name, size in sizes:
            if size < 1:
                raise ValueError(f"{name}: expected a positive size, got {size}")
        check_mode(mode, activation, squash)
        self.inputs = inputs
        self.outputs = self.memory_size = neurons
        self.mode, self.activation, self.squash = mode, activation, squash
        xavier = nnx.initializers.xavier_uniform()
        widths = (inputs + neurons, *widths)
        layers = [
            nnx.Linear(a, b, kernel_init=xavier, rngs=rngs)
            for a, b in zip(widths[:-1], widths[1:], strict=True)
        ]
        self.backbone, self.deeper = (layers or [None])[0], nnx.List(layers[1:])
        heads = heads_of(mode)
        init = blocks_of_xavier(heads)
        self.heads = nnx.Linear(widths[-1], heads * neurons, kernel_init=init, rngs=rngs)
        pure = mode == "pure"
        self.decay = nnx.Param(jnp.zeros(neurons, jnp.float32)) if pure else None
        self.rest = nnx.Param(jnp.ones(neurons, jnp.float32)) if pure else None

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch m"]]:
        """Advance by `dt` [s]; see `lnn_nav.cells.protocol.Cell`."""
        check_step(self, memory, inputs, dt)
        hidden = jnp.concatenate([inputs, memory], axis=-1)
        for layer in (self.backbone, *self.deeper):
            hidden = hidden if layer is None else activation(self.activation)(layer(hidden))
        heads = self.heads(hidden)
        elapsed = jnp.asarray(dt, heads.dtype)[..., None]
        if self.decay is not None and self.rest is not None:
            memory = settle(heads, self.decay[...], self.rest[...], elapsed)
        else:
            memory = blend(heads, elapsed, self.mode, self.squash)
        return memory, memory

    def at_pace(self, dt: Float[Array, ""]) -> Pace:
        """The same step for batches that share one `dt`; see `lnn_nav.cells.protocol.Paced`."""
        usual = (self.mode, self.activation, self.squash) == ("gated", "lecun_tanh", "tanh")
        if not usual or self.backbone is None or len(self.deeper):
            return Pace(lambda memory, inputs: self(memory, inputs, dt))
        weights = folded(self.backbone, self.heads, dt)

        def step(memory: Array, inputs: Array) -> tuple[Array, Array]:
            sight = inputs @ weights.seen + weights.shift
            memory, _, _ = advance(weights, memory, sight)
            return memory, memory

        return Pace(step, partial(run, weights))
