"""Cells by name, for configuration files and commands."""

from __future__ import annotations

from collections.abc import Callable

from flax import nnx

from lnn_nav.cells.cfc import CfC
from lnn_nav.cells.ltc import LTC
from lnn_nav.cells.protocol import Cell
from lnn_nav.cells.recurrent import GRU, LSTM, MLP


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


CELLS: dict[str, Callable[[int, int, nnx.Rngs], Cell]] = {
    "cfc": _cfc,
    "ltc": _ltc,
    "lstm": _lstm,
    "gru": _gru,
    "mlp": _mlp,
}
"""Constructor of each cell by name: (inputs, neurons, rngs) -> cell."""

_PARAMETERS: dict[str, Callable[[int, int], int]] = {
    "cfc": lambda i, n: 2 * n * (i + n + 1) + 4 * n * (2 * n + 1),
    "ltc": lambda i, n: 4 * n * (i + n) + 3 * n,
    "lstm": lambda i, n: 4 * n * (i + n + 1),
    "gru": lambda i, n: 3 * n * (i + n + 1) + n,
    "mlp": lambda i, n: n * (i + n + 2),
}


def build_cell(name: str, inputs: int, neurons: int, rngs: nnx.Rngs) -> Cell:
    """The cell called `name`.

    Raises:
        ValueError: for an unknown name.
    """
    if name not in CELLS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {name!r}")
    return CELLS[name](inputs, neurons, rngs)


def neurons_within(name: str, inputs: int, parameters: int) -> int:
    """The most neurons with which cell `name` has at most `parameters` parameters.

    Raises:
        ValueError: for an unknown name, or if not even one neuron fits.
    """
    if name not in _PARAMETERS:
        raise ValueError(f"cell: expected one of {', '.join(CELLS)}, got {name!r}")
    count = 0
    while _PARAMETERS[name](inputs, count + 1) <= parameters:
        count += 1
    if count == 0:
        raise ValueError(f"parameters: {name} with {inputs} inputs needs more than {parameters}")
    return count
