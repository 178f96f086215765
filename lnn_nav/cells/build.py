"""Cells by name, for configuration files and commands."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
from flax import nnx

from lnn_nav.cells.cfc import CfC
from lnn_nav.cells.ct_rnn import CTRNN, FLOWN
from lnn_nav.cells.gru_ode import GRUODE
from lnn_nav.cells.ltc import LTC
from lnn_nav.cells.mixed import MixedMemory
from lnn_nav.cells.ode_rnn import ODERNN
from lnn_nav.cells.protocol import Cell
from lnn_nav.cells.recurrent import GRU, LSTM, MLP
from lnn_nav.cells.tcn import TCN
from lnn_nav.cells.wired_cfc import WiredCfC
from lnn_nav.cells.wired_ltc import WiredLTC
from lnn_nav.cells.wiring import Wiring
from lnn_nav.cells.wirings import auto_ncp


def _cfc(inputs: int, neurons: int, rngs: nnx.Rngs) -> CfC:
    return CfC(inputs, neurons, backbone=2 * neurons, rngs=rngs)


def _ltc(inputs: int, neurons: int, rngs: nnx.Rngs) -> LTC:
    return LTC(inputs, neurons, rngs=rngs)


def _lstm(inputs: int, neurons: int, rngs: nnx.Rngs) -> LSTM:
    return LSTM(inputs, neurons, rngs=rngs)


def _gru(inputs: int, neurons: int, rngs: nnx.Rngs) -> GRU:
    return GRU(inputs, neurons, rngs=rngs)


def _mlp(inputs: int, neurons: int, rngs: nnx.Rngs) -> MLP:
    return MLP(inputs, neurons, rngs=rngs)


def _wiring(inputs: int, neurons: int) -> Wiring:
    """A neural circuit policy; a quarter of the neurons are motor neurons."""
    return auto_ncp(inputs, neurons, max(1, neurons // 4))


def _wired_cfc(inputs: int, neurons: int, rngs: nnx.Rngs) -> WiredCfC:
    return WiredCfC(_wiring(inputs, neurons), rngs=rngs)


def _wired_ltc(inputs: int, neurons: int, rngs: nnx.Rngs) -> WiredLTC:
    return WiredLTC(_wiring(inputs, neurons), rngs=rngs)


def _mixed(inputs: int, neurons: int, rngs: nnx.Rngs) -> MixedMemory:
    return MixedMemory(_cfc(inputs, neurons, rngs), rngs=rngs)


def _ctrnn(inputs: int, neurons: int, rngs: nnx.Rngs) -> CTRNN:
    # A flight goes on with the memory that was reached; few steps are quick to differentiate.
    integration = dataclasses.replace(FLOWN, max_steps=64, throw=False)
    return CTRNN(inputs, neurons, integration=integration, rngs=rngs)


def _odernn(inputs: int, neurons: int, rngs: nnx.Rngs) -> ODERNN:
    return ODERNN(inputs, neurons, rngs=rngs)


def _gruode(inputs: int, neurons: int, rngs: nnx.Rngs) -> GRUODE:
    return GRUODE(inputs, neurons, rngs=rngs)


def _tcn(inputs: int, neurons: int, rngs: nnx.Rngs) -> TCN:
    return TCN(inputs, neurons, rngs=rngs)


CELLS: dict[str, Callable[[int, int, nnx.Rngs], Cell]] = {
    "cfc": _cfc,
    "ltc": _ltc,
    "lstm": _lstm,
    "gru": _gru,
    "mlp": _mlp,
    "wired_cfc": _wired_cfc,
    "wired_ltc": _wired_ltc,
    "mixed": _mixed,
    "ctrnn": _ctrnn,
    "odernn": _odernn,
    "gruode": _gruode,
    "tcn": _tcn,
}
"""Constructor of each cell by name: (inputs, neurons, rngs) -> cell.

The reservoir is not among them: its readout is solved for, not trained.
"""

_LEAST = {"wired_cfc": 4, "wired_ltc": 4}
"""Fewest neurons of the cells that need more than one."""


def build_cell(name: str, inputs: int, neurons: int, rngs: nnx.Rngs) -> Cell:
    """The cell called `name`.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in CELLS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {name!r}")
    return CELLS[name](inputs, neurons, rngs)


@functools.cache
def parameters_of(name: str, inputs: int, neurons: int) -> int:
    """How many parameters the cell `name` has, counted in the cell itself.

    Raises:
        ValueError: for an unknown name.
    """
    cell = nnx.eval_shape(lambda: build_cell(name, inputs, neurons, nnx.Rngs(0)))
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(cell, nnx.Param)))


def neurons_within(name: str, inputs: int, parameters: int) -> int:
    """The most neurons with which cell `name` has at most `parameters` parameters.

    Raises:
        ValueError: for an unknown name, or if not even one neuron fits.
    """
    fits = _LEAST.get(name, 1)
    if parameters_of(name, inputs, fits) > parameters:
        raise ValueError(f"parameters: {name} with {inputs} inputs needs more than {parameters}")
    above = 2 * fits
    while parameters_of(name, inputs, above) <= parameters:
        fits, above = above, 2 * above
    while above - fits > 1:
        middle = (fits + above) // 2
        if parameters_of(name, inputs, middle) <= parameters:
            fits = middle
        else:
            above = middle
    return fits
