"""How fast neurons forget: their effective time constants, and the conductances behind them.

One definition for all: with what drives a neuron held as it is, its memory goes to where it would
settle, and tau [s] is the distance from there over the speed at which it goes.

LTC (Hasani et al., AAAI 2021, equations 1 to 3, for conductances as in Lechner et al. 2020): with
the synapses' gates held, c dv/dt = -(g_leak + sum w s) v + g_leak v_leak + sum w s e, so that

    tau = c / (g_leak + sum w s),    c / (g_leak + sum w) <= tau <= c / g_leak    (theorem 1)

since every gate s lies in (0, 1). Here c, g_leak and w are the softplus of the parameters, and
g_leak includes the 1e-8 that every neuron leaks besides. A neuron that hears itself also changes
its own gate, which this tau leaves out, as the theorem does.

CfC: the memory at time t after an input is a function of t in closed form. A gate sigmoid(a t + b)
moves to the head that it ends at (f2 if a > 0, else f1; without the gate, f1 + f2 or f1), and what
is left of the way shrinks at the rate |a| sigmoid(|a| t + sign(a) b): slowly at first, in the end
with tau = 1 / |a|. In the pure mode it shrinks at |w| + |f| always.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from lnn_nav.cells import LTC, Cell, CfC, Projected, WiredCfC, WiredLTC
from lnn_nav.cells.activations import activation
from lnn_nav.cells.ltc import EPSILON, capacity_of
from lnn_nav.cells.wired_cfc import wired_masks
from lnn_nav.insight.probe import check_point, refusal, synapse_table


class Bounds(NamedTuple):
    """Between what a time constant stays, whatever the inputs.

    Attributes:
        low: [s] `[m]`.
        high: [s] `[m]`.
    """

    low: Float[Array, " m"]
    high: Float[Array, " m"]


def time_constant(
    cell: Cell,
    memory: Float[Array, "*batch m"],
    inputs: Float[Array, "*batch i"],
    dt: Array | float = 1.0,
) -> Float[Array, "*batch m"]:
    """Effective time constant of every neuron [s]; infinite for one that goes nowhere.

    Args:
        cell: an LTC or a CfC, wired or not; or a projection of one.
        memory: at the beginning of a step; a recording has it as `before`.
        inputs: features.
        dt: how long the step takes [s]: a scalar, or one value a batch element. An LTC's does not
            depend on it, a gated CfC's is that at the end of the step.

    Raises:
        ProbeError: no time constant of such a cell is known, or a shape does not fit it.
    """
    check_point(cell, memory, inputs)
    if isinstance(cell, Projected):
        return time_constant(cell.cell, memory, inputs, dt)
    if isinstance(cell, LTC | WiredLTC):
        _, heard = cell.senses(_sensed(cell, inputs))
        _, recurrent = cell.synapses(memory)
        return capacity_of(cell.capacitance[...]) / (_leak(cell) + heard + recurrent)
    if isinstance(cell, CfC | WiredCfC):
        rate = _rates(cell, memory, inputs, dt)
        return jnp.where(rate > 0, 1 / jnp.where(rate > 0, rate, 1), jnp.inf)
    raise refusal("a time constant", (CfC, LTC, WiredCfC, WiredLTC), cell)


def time_constant_bounds(cell: Cell) -> Bounds:
    """Bounds of every neuron's time constant that hold for all memories and inputs.

    Raises:
        ProbeError: none are known of such a cell.
    """
    if isinstance(cell, Projected):
        return time_constant_bounds(cell.cell)
    if isinstance(cell, LTC | WiredLTC):
        capacity, leak = capacity_of(cell.capacitance[...]), _leak(cell)
        widest = (jax.nn.softplus(part.weight[...]) for part in (cell.senses, cell.synapses))
        return Bounds(
            capacity / (leak + synapse_table(cell, *widest).sum(axis=-2)), capacity / leak
        )
    raise refusal("bounds of its time constants", (LTC, WiredLTC), cell)


def synaptic_activity(
    cell: Cell, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"]
) -> Float[Array, "*batch sources m"]:
    """Conductance of every synapse just now, w s; 0 where there is no synapse.

    Args:
        cell: an LTC, wired or not; or a projection of one.
        memory: potentials of the neurons.
        inputs: features.

    Returns:
        From source (the inputs, then the neurons) to neuron, `[*batch, inputs + m, m]`.

    Raises:
        ProbeError: the cell has no conductances, or a shape does not fit it.
    """
    check_point(cell, memory, inputs)
    if isinstance(cell, Projected):
        return synaptic_activity(cell.cell, memory, inputs)
    if isinstance(cell, LTC | WiredLTC):
        senses = cell.senses.openings(_sensed(cell, inputs))
        return synapse_table(cell, senses, cell.synapses.openings(memory))
    raise refusal("the conductance of synapses", (LTC, WiredLTC), cell)


def _leak(cell: LTC | WiredLTC) -> Float[Array, " m"]:
    return jax.nn.softplus(cell.leak[...]) + EPSILON


def _sensed(cell: LTC | WiredLTC, inputs: Float[Array, "*batch i"]) -> Float[Array, "*batch i"]:
    """What the synapses of the inputs hear."""
    return inputs if isinstance(cell, LTC) else inputs * cell.gain[...] + cell.offset[...]


def _rates(
    cell: CfC | WiredCfC,
    memory: Float[Array, "*batch m"],
    inputs: Float[Array, "*batch i"],
    dt: Array | float,
) -> Float[Array, "*batch m"]:
    """At which what is left of the way shrinks [1/s]."""
    if isinstance(cell, CfC):
        decay = None if cell.decay is None else cell.decay[...]
        return _rate(_heads(cell, memory, inputs), decay, dt)
    after, _ = cell(memory, inputs, dt)
    masks, signal, parts = wired_masks(cell.wiring, cell.mode, cell.compat), inputs, []
    for k, (_, ids) in enumerate(cell.wiring.layers):
        heard = jnp.concatenate([signal, memory[..., np.array(ids)]], axis=-1)
        heads = heard @ (cell.kernels[k][...] * masks[k]) + cell.biases[k][...]
        parts.append(_rate(heads, cell.decays[k][...] if cell.decays else None, dt))
        signal = after[..., np.array(ids)]
    order = np.argsort([neuron for _, ids in cell.wiring.layers for neuron in ids])
    return jnp.concatenate(parts, axis=-1)[..., order]


def _heads(
    cell: CfC, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"]
) -> Float[Array, "*batch heads"]:
    hidden = jnp.concatenate([inputs, memory], axis=-1)
    for layer in (cell.backbone, *cell.deeper):
        hidden = hidden if layer is None else activation(cell.activation)(layer(hidden))
    return cell.heads(hidden)


def _rate(
    heads: Float[Array, "*batch heads"], decay: Float[Array, " m"] | None, dt: Array | float
) -> Float[Array, "*batch m"]:
    if decay is not None:
        return jnp.abs(decay) + jnp.abs(heads)
    _, _, slope, offset = jnp.split(heads, 4, axis=-1)
    elapsed = jnp.asarray(dt, heads.dtype)[..., None]
    return jnp.abs(slope) * jax.nn.sigmoid(jnp.sign(slope) * (slope * elapsed + offset))
