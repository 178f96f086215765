"""A CfC whose neurons hear only what the wiring says.

Every layer of the wiring is a CfC without a backbone: its neurons hear the layer before (the first
layer, the inputs), the neurons of their own layer that the wiring connects them to, and themselves.
All four heads are wired; what has no synapse has no influence. In `ncps` the time heads hear
everything, and within a layer everything hears everything (`compat="ncps"`).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.activations import tanh
from lnn_nav.cells.heads import (
    at_time,
    blend,
    blend_at_time,
    blocks_of_xavier,
    check_mode,
    heads_of,
    settle,
)
from lnn_nav.cells.protocol import Pace, check_step
from lnn_nav.cells.wiring import Wiring


class WiredCfC(nnx.Module):
    """Wired CfC cell; the output is what the last layer of the wiring holds.

    The memory has the order of the wiring's neurons, the outputs first.

    Attributes:
        inputs: number of input features.
        outputs: number of neurons of the last layer.
        memory_size: number of neurons.
        wiring: who hears whom.
        kernels: of the heads of each layer of neurons.
        biases: of the heads of each layer.
        decays: w of each layer in the pure mode, else empty.
        rests: A of each layer in the pure mode, else empty.
    """

    def __init__(
        self,
        wiring: Wiring,
        *,
        mode: str = "gated",
        squash: str = "tanh",
        compat: str | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        """Draw the weights (float32); those without a synapse are drawn too, and never used.

        Args:
            wiring: who hears whom.
            mode: as in `CfC`.
            squash: activation of f1 and f2.
            compat: "ncps" for the wiring that `ncps` gives its cells.
            rngs: source of randomness.

        Raises:
            ValueError: if a mode, an activation or a dialect is unknown.
        """
        check_mode(mode, squash)
        if compat not in (None, "ncps"):
            raise ValueError(f"compat: expected 'ncps' or None, got {compat!r}")
        self.inputs, self.memory_size = wiring.inputs, wiring.neurons
        self.outputs = len(wiring.layers[-1][1])
        self.wiring = nnx.static(wiring)
        self.mode, self.squash, self.compat = mode, squash, compat
        heads, init = heads_of(mode), blocks_of_xavier(heads_of(mode))
        sizes = [len(ids) for _, ids in wiring.layers]
        fans = [wiring.inputs, *sizes[:-1]]
        self.kernels = nnx.List(
            nnx.Param(init(rngs(), (fan + size, heads * size), jnp.float32))
            for fan, size in zip(fans, sizes, strict=True)
        )
        self.biases = nnx.List(nnx.Param(jnp.zeros(heads * size, jnp.float32)) for size in sizes)
        pure = sizes if mode == "pure" else []
        self.decays = nnx.List(nnx.Param(jnp.zeros(size, jnp.float32)) for size in pure)
        self.rests = nnx.List(nnx.Param(jnp.ones(size, jnp.float32)) for size in pure)

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by `dt` [s]; see `lnn_nav.cells.protocol.Cell`."""
        check_step(self, memory, inputs, dt)
        signal, parts = inputs, []
        masks = wired_masks(self.wiring, self.mode, self.compat)
        elapsed = jnp.asarray(dt, jnp.result_type(memory, inputs, self.biases[0][...]))[..., None]
        for k, (_, ids) in enumerate(self.wiring.layers):
            kernel, bias = self.kernels[k][...], self.biases[k][...]
            heard = jnp.concatenate([signal, columns(memory, ids)], axis=-1)
            heads = heard @ (kernel * masks[k].astype(kernel.dtype)) + bias
            if self.decays:
                signal = settle(heads, self.decays[k][...], self.rests[k][...], elapsed)
            else:
                signal = blend(heads, elapsed, self.mode, self.squash)
            parts.append(signal)
        return in_order(parts, [ids for _, ids in self.wiring.layers]), signal

    def at_pace(self, dt: Float[Array, ""]) -> Pace:
        """The same step for batches that share one `dt`; see `lnn_nav.cells.protocol.Paced`."""
        if (self.mode, self.squash) != ("gated", "tanh"):
            return Pace(lambda memory, inputs: self(memory, inputs, dt))
        layers = [ids for _, ids in self.wiring.layers]
        weights = [
            at_time(kernel[...] * mask.astype(kernel[...].dtype), bias[...], dt)
            for kernel, mask, bias in zip(
                self.kernels,
                wired_masks(self.wiring, self.mode, self.compat),
                self.biases,
                strict=True,
            )
        ]

        def step(memory: Array, inputs: Array) -> tuple[Array, Array]:
            signal, parts = inputs, []
            for (kernel, bias), ids in zip(weights, layers, strict=True):
                heard = jnp.concatenate([signal, columns(memory, ids)], axis=-1)
                signal = blend_at_time(tanh(heard @ kernel + bias))
                parts.append(signal)
            return in_order(parts, layers), signal

        return Pace(step)


def columns(memory: Float[Array, "*batch m"], ids: Sequence[int]) -> Float[Array, "*batch own"]:
    """What some neurons hold; neighbours as a slice, which costs less than a choice."""
    if list(ids) == list(range(ids[0], ids[0] + len(ids))):
        return memory[..., ids[0] : ids[0] + len(ids)]
    return memory[..., np.array(ids)]


def in_order(
    parts: Sequence[Float[Array, "*batch _"]], layers: Sequence[Sequence[int]]
) -> Float[Array, "*batch m"]:
    """What all neurons hold, layer by layer, in the order of their numbers."""
    ranked = sorted(range(len(layers)), key=lambda k: layers[k][0])
    held = jnp.concatenate([parts[k] for k in ranked], axis=-1)
    order = np.argsort([neuron for k in ranked for neuron in layers[k]])
    return columns(held, order.tolist())


def wired_masks(
    wiring: Wiring, mode: str, compat: str | None
) -> list[Float[np.ndarray, "fan heads"]]:
    """Which weights of each layer's heads count: 1 or 0, `[before + own, heads * own]`."""
    masks, before = [], None
    for _, neurons in wiring.layers:
        ids = np.array(neurons)
        table = wiring.senses if before is None else wiring.synapses[before]
        own = wiring.synapses[np.ix_(ids, ids)] != 0
        own = np.ones_like(own) if compat == "ncps" else own | np.eye(len(ids), dtype=bool)
        heard = np.concatenate([table[:, ids] != 0, own])
        timed = np.ones_like(heard) if compat == "ncps" else heard
        heads = [heard] if mode == "pure" else [heard, heard, timed, timed]
        masks.append(np.concatenate(heads, axis=1).astype(np.float32))
        before = ids
    return masks
