"""Our cells, and flax's own, as pure compiled functions of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cell_peers.peer import Arrays, Peer
from lnn_nav.cells import GRU, LSTM, Cell, CfC, WiredCfC, WiredLTC, unroll
from lnn_nav.cells.wirings import auto_ncp
from lnn_nav.convert import from_ncps

NEURONS = 64


def ours(inputs: np.ndarray, weights: Mapping[str, Arrays]) -> list[Peer]:
    """Our cells, with the weights of the same networks elsewhere where there are some.

    Args:
        inputs: `[B, T, i]`, float32.
        weights: of `ncps.torch`, by name of the cell.
    """
    size, rngs = inputs.shape[-1], nnx.Rngs(0)
    wiring = auto_ncp(size, 32, 4)
    cells: dict[str, Cell] = {
        "CfC 64": CfC(size, NEURONS, rngs=rngs),
        "CfC AutoNCP(32, 4)": WiredCfC(wiring, compat="ncps", rngs=rngs),
        "LTC AutoNCP(32, 4)": WiredLTC(wiring, rngs=rngs),
    }
    cells |= {
        name: from_ncps(found, wiring=wiring if "Auto" in name else None)
        for name, found in weights.items()
    }
    cells |= {"LSTM 64": LSTM(size, NEURONS, rngs=rngs), "GRU 64": GRU(size, NEURONS, rngs=rngs)}
    return [_ours(name, cell, jnp.asarray(inputs)) for name, cell in cells.items()]


def _ours(name: str, cell: Cell, inputs: jax.Array) -> Peer:
    graph, state = nnx.split(cell)
    memory, first, dt = jnp.zeros(cell.memory_size, jnp.float32), inputs[0, 0], jnp.float32(1)
    # What does not change is compiled in.
    step = jax.jit(lambda memory, x, dt: cell(memory, x, dt))
    return _peer(
        ("lnn_nav", name),
        lambda state: unroll(nnx.merge(graph, state), inputs)[1],
        state,
        lambda: jax.block_until_ready(step(memory, first, dt)),
    )


def flax(inputs: np.ndarray) -> list[Peer]:
    """Flax's LSTM and GRU under its own `nnx.RNN`."""
    size, rngs = inputs.shape[-1], nnx.Rngs(0)
    cells = {
        "LSTM 64": nnx.OptimizedLSTMCell(size, NEURONS, rngs=rngs),
        "GRU 64": nnx.GRUCell(size, NEURONS, rngs=rngs),
    }
    return [_flax(name, cell, jnp.asarray(inputs)) for name, cell in cells.items()]


def _flax(name: str, cell: nnx.RNNCellBase, inputs: jax.Array) -> Peer:
    graph, state, rest = nnx.split(nnx.RNN(cell), nnx.Param, ...)
    start, carry = (
        cell.initialize_carry(one.shape, nnx.Rngs(0)) for one in (inputs[:, 0], inputs[0, 0])
    )
    step = jax.jit(lambda carry, x: cell(carry, x))
    return _peer(
        ("flax", name),
        lambda state: nnx.merge(graph, state, rest)(inputs, initial_carry=start),
        state,
        lambda: jax.block_until_ready(step(carry, inputs[0, 0])),
    )


def _peer(
    names: tuple[str, str],
    outputs: Callable[[nnx.State], jax.Array],
    state: nnx.State,
    step: Callable[[], object],
) -> Peer:
    forward = jax.jit(outputs)
    gradient = jax.jit(jax.grad(lambda state: jnp.sum(outputs(state) ** 2)))
    return Peer(
        *names,
        forward=lambda: jax.block_until_ready(forward(state)),
        forward_backward=lambda: jax.block_until_ready(gradient(state)),
        step=step,
        shown=lambda: np.asarray(forward(state)),
    )
