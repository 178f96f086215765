"""Networks of `ncps.torch` (mlech26l/ncps 1.0.1) from and to their state dictionary, as arrays.

Neither torch nor ncps is needed. Of an `nn.Module` called `net` the arrays are
`{name: value.numpy() for name, value in net.state_dict().items()}`.

Differences that are bridged: weights are transposed; the four heads of a CfC are one matrix here;
wired CfCs keep their memory in the order inter, command, motor there, in the wiring's here; LTCs
hold a table of all pairs there, a list of synapses here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from flax import nnx

from lnn_nav.cells import Cell, CfC, MixedMemory, Projected, WiredCfC, WiredLTC, Wiring
from lnn_nav.convert import ncps_cfc, ncps_ltc, ncps_memory
from lnn_nav.convert.arrays import Weights, WeightsError, filled, parameters


def from_ncps(
    state: Mapping[str, object],
    *,
    wiring: Wiring | None = None,
    mode: str = "gated",
    activation: str = "lecun_tanh",
    unfolds: int = 6,
    softplus: bool = True,
) -> Cell:
    """The cell of an `ncps.torch.CfC` or `LTC`, mixed memory and projection included.

    Args:
        state: the state dictionary, arrays by name.
        wiring: polarities and inner connections that a wired CfC's arrays do not hold; without it,
            what they do hold.
        mode: of a CfC: "gated" (ncps: "default") or "no_gate", which its arrays do not tell apart;
            "pure" is recognised.
        activation: of a CfC's backbone.
        unfolds: of an LTC (ncps: `ode_unfolds`).
        softplus: of an LTC (ncps: `implicit_param_constraints`).

    Returns:
        A cell in the dtype of the arrays, wired as ncps wires it (`compat="ncps"`).

    Raises:
        WeightsError: an array is missing, unknown, of another shape, or not finite; a wiring does
            not fit; a conductance or capacitance is negative (ncps leaves it to its users to
            prevent that).
        ValueError: a mode or an activation is unknown.
    """
    weights = Weights(state)
    if "rnn_cell.gleak" in weights:
        cell, values = ncps_ltc.read(weights, wiring, unfolds, softplus)
    elif "rnn_cell.layer_0.ff1.weight" in weights:
        cell, values = ncps_cfc.read_wired(weights, wiring, mode)
    else:
        cell, values = ncps_cfc.read(weights, mode, activation)
    if "lstm.input_map.weight" in weights:
        values = {("cell", *path): value for path, value in values.items()}
        values |= ncps_memory.read_memory(weights, cell.inputs, ncps_memory.memory_order(cell))
        cell = MixedMemory(cell, rngs=nnx.Rngs(0))
    if "fc.weight" in weights:
        values = {("cell", *path): value for path, value in values.items()}
        outputs = weights.shape("fc.weight", 2)[0]
        values |= ncps_memory.read_readout(weights, cell.outputs, outputs)
        cell = Projected(cell, outputs, rngs=nnx.Rngs(0))
    weights.finish()
    return filled(cell, values)


def to_ncps(cell: Cell) -> dict[str, np.ndarray]:
    """The state dictionary of the `ncps.torch.CfC` or `LTC` that does what a cell does.

    Args:
        cell: a `CfC`, a `WiredCfC` with `compat="ncps"`, a `WiredLTC`, any of these in a
            `MixedMemory`, all that in a `Projected`.

    Returns:
        Arrays by name, for `net.load_state_dict` after `torch.as_tensor`; an LTC needs
        `implicit_param_constraints=True`, which is ncps's default.

    Raises:
        WeightsError: ncps has no such network.
    """
    values, given = parameters(cell), {}
    if isinstance(cell, Projected):
        given |= ncps_memory.write_readout(values)
        cell, values = cell.cell, _inside(values)
    if isinstance(cell, MixedMemory):
        given |= ncps_memory.write_memory(values, ncps_memory.memory_order(cell.cell))
        cell, values = cell.cell, _inside(values)
    if isinstance(cell, WiredLTC):
        return given | ncps_ltc.write(cell, values)
    if isinstance(cell, WiredCfC):
        return given | ncps_cfc.write_wired(cell, values)
    if isinstance(cell, CfC):
        return given | ncps_cfc.write(cell, values)
    raise WeightsError(f"cell: ncps has no {type(cell).__name__}")


def _inside(values: Mapping[tuple, np.ndarray]) -> dict[tuple, np.ndarray]:
    return {path[1:]: value for path, value in values.items() if path[0] == "cell"}
