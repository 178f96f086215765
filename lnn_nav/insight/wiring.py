"""Who hears whom, and how strongly: a wiring as one table, as a graph, and in counts.

Sources are the inputs and then the neurons, in the order of the wiring; targets are the neurons.
A neuron's number is its place in the memory of a wired cell.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from lnn_nav.cells import Cell, WiredCfC, WiredLTC, Wiring
from lnn_nav.cells.wired_cfc import wired_masks
from lnn_nav.extras import liquid
from lnn_nav.insight.probe import ProbeError, refusal, synapse_table

if TYPE_CHECKING:
    import networkx

INPUTS = "inputs"
"""What the layer of the inputs is called."""


class Connectivity(NamedTuple):
    """A wiring as one table.

    Attributes:
        table: polarity of every synapse, 1, -1 or 0 where there is none `[inputs + neurons,
            neurons]`.
        sources: names of the rows.
        targets: names of the columns.
    """

    table: Int[np.ndarray, "sources neurons"]
    sources: tuple[str, ...]
    targets: tuple[str, ...]


def connectivity(wiring: Wiring) -> Connectivity:
    """A wiring as one table, with names."""
    inputs = tuple(f"input {k}" for k in range(wiring.inputs))
    neurons = tuple(f"neuron {k}" for k in range(wiring.neurons))
    return Connectivity(np.concatenate([wiring.senses, wiring.synapses]), inputs + neurons, neurons)


def graph(wiring: Wiring, strengths: Float[np.ndarray, "*table"] | None = None) -> networkx.DiGraph:
    """A wiring as a graph of networkx.

    Nodes have the names of `connectivity`, and `kind` ("input" or "neuron"), `index`, `layer` and
    `output`; edges have `polarity`, and `strength` where strengths are given.

    Args:
        wiring: who hears whom.
        strengths: of the synapses, as `strengths` gives them `[inputs + neurons, neurons]`.

    Raises:
        MissingExtra: networkx is not installed.
        ProbeError: the strengths have another shape than the wiring's table.
    """
    net = liquid("networkx").DiGraph()
    table, sources, targets = connectivity(wiring)
    strengths = checked(wiring, strengths)
    for k in range(wiring.inputs):
        net.add_node(sources[k], kind="input", index=k, layer=INPUTS, output=False)
    for k, name in enumerate(targets):
        layer, output = wiring.layer_of(k), k < wiring.outputs
        net.add_node(name, kind="neuron", index=k, layer=layer, output=output)
    for source, target in np.argwhere(table):
        about = {"polarity": int(table[source, target])}
        if strengths is not None:
            about["strength"] = float(strengths[source, target])
        net.add_edge(sources[source], targets[target], **about)
    return net


def synapses_by_layer(wiring: Wiring) -> dict[tuple[str, str], int]:
    """How many synapses lead from one layer to another; pairs without any are left out."""
    layers = [INPUTS] * wiring.inputs + [wiring.layer_of(k) for k in range(wiring.neurons)]
    pairs = np.argwhere(connectivity(wiring).table)
    return dict(Counter((layers[source], wiring.layer_of(int(target))) for source, target in pairs))


def strengths(cell: Cell) -> Float[np.ndarray, "sources neurons"]:
    """What learning made of every synapse; 0 where there is none or where the cell uses none.

    Of a `WiredLTC`: conductance when open times |reversal|, which is the current into a neuron of
    potential 0. Of a `WiredCfC`: length of the vector of weights in its heads. What a neuron of a
    `WiredCfC` hears of itself without a synapse is not among them.

    Raises:
        ProbeError: the cell has no wiring.
    """
    if isinstance(cell, WiredLTC):
        driven = [
            jax.nn.softplus(part.weight[...]) * jnp.abs(part.reversal[...])
            for part in (cell.senses, cell.synapses)
        ]
        return np.asarray(synapse_table(cell, *driven))
    if isinstance(cell, WiredCfC):
        return _strengths_of_cfc(cell)
    raise refusal("strength of synapses", (WiredCfC, WiredLTC), cell)


def checked(
    wiring: Wiring, strengths: Float[np.ndarray, "*table"] | None
) -> Float[np.ndarray, "sources neurons"] | None:
    """Strengths that fit the wiring.

    Raises:
        ProbeError: they have another shape, or are negative or no numbers.
    """
    if strengths is None:
        return None
    strengths, wanted = np.asarray(strengths), (wiring.inputs + wiring.neurons, wiring.neurons)
    if strengths.shape != wanted:
        raise ProbeError(f"strengths: expected shape {wanted}, got {strengths.shape}")
    if not np.all(np.isfinite(strengths) & (strengths >= 0)):
        raise ProbeError("strengths: expected finite numbers >= 0, got others")
    return strengths


def _strengths_of_cfc(cell: WiredCfC) -> Float[np.ndarray, "sources neurons"]:
    wiring = cell.wiring
    found = np.zeros((wiring.inputs + wiring.neurons, wiring.neurons))
    masks = wired_masks(wiring, cell.mode, cell.compat)
    before = np.arange(wiring.inputs)
    for kernel, mask, (_, ids) in zip(cell.kernels, masks, wiring.layers, strict=True):
        own = wiring.inputs + np.array(ids)
        heads = (np.asarray(kernel[...]) * mask).reshape(len(mask), -1, len(ids))
        found[np.ix_(np.concatenate([before, own]), np.array(ids))] = np.linalg.norm(heads, axis=1)
        before = own
    return np.where(connectivity(wiring).table != 0, found, 0.0)
