"""Networks of `ncps.keras` and `ncps.tf` from the weights of their cells.

Neither Keras nor ncps is needed. Of a Keras 3 layer the arrays are
`{weight.path: np.asarray(weight) for weight in layer.weights}`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lnn_nav.cells import Cell, CfC, WiredCfC, WiredLTC, Wiring
from lnn_nav.convert import keras_cells
from lnn_nav.convert.arrays import Path, Weights, WeightsError, filled

FORCE, SECOND = "ff1_weight", "ff2_weight"
LSTM = ("input_kernel", "recurrent_kernel", "bias")


def from_ncps_keras(
    weights: Mapping[str, object],
    *,
    wiring: Wiring | None = None,
    mode: str = "gated",
    activation: str = "lecun_tanh",
    unfolds: int = 6,
    forget: float = 1.0,
) -> Cell:
    """The cell of an `ncps.keras` (or `ncps.tf`) `CfC` or `LTC`, mixed memory included.

    Args:
        weights: arrays by name, in the order of the layer's weights.
        wiring: of an LTC or a wired CfC, whose weights do not hold it; without one an LTC is
            connected fully.
        mode: of a CfC: "gated" (ncps: "default") or "no_gate", which its weights do not tell apart;
            "pure" is recognised.
        activation: of a CfC's backbone.
        unfolds: of an LTC (ncps: `ode_unfolds`).
        forget: of a mixed memory (ncps: `forget_gate_bias`).

    Returns:
        A cell in the dtype of the weights.

    Raises:
        WeightsError: a weight is missing, unknown, of another shape, or not finite; a wiring does
            not fit; a conductance or capacitance is negative.
        ValueError: a mode or an activation is unknown.
    """
    named = Weights({name.partition(":")[0]: value for name, value in weights.items()})
    gates = [_only(named, name) for name in LSTM] if _ends(named, LSTM[1]) else []
    values: dict[Path, np.ndarray]
    cell: CfC | WiredCfC | WiredLTC
    if _ends(named, "gleak"):
        arrays = {name.rpartition("/")[2]: value for name, value in named.left.items()}
        named.left.clear()
        cell, values = keras_cells.ltc(arrays, wiring, unfolds)
    else:
        cell, values = _cfc(named, wiring, mode, activation)
    named.finish()
    if not gates:
        return filled(cell, values)
    whole, more = keras_cells.mixed(cell, gates, forget)
    return filled(whole, {("cell", *path): value for path, value in values.items()} | more)


def _cfc(
    named: Weights, wiring: Wiring | None, mode: str, activation: str
) -> tuple[CfC | WiredCfC, dict[Path, np.ndarray]]:
    prefixes = [name.removesuffix(FORCE) for name in _ends(named, FORCE)]
    if not prefixes:
        held = ", ".join(named.left) or "nothing"
        raise WeightsError(f"weights: expected those of a CfC or an LTC, got {held}")
    heads, pure = [], []
    for prefix in prefixes:
        heads.append([keras_cells.dense(named, prefix, FORCE, "ff1_bias")])
        if f"{prefix}w_tau" in named:
            shape = named.shape(f"{prefix}w_tau", 2)
            pure.append(
                (named.take(f"{prefix}w_tau", shape)[0], named.take(f"{prefix}A", shape)[0])
            )
        else:
            heads[-1].append(keras_cells.dense(named, prefix, SECOND, "ff2_bias"))
            times = (f"{prefix}{name}/" for name in ("time_a", "time_b"))
            heads[-1] += [keras_cells.dense(named, time) for time in times]
    if wiring is not None:
        return keras_cells.wired_cfc(heads, wiring, mode, pure)
    if len(prefixes) > 1:
        raise WeightsError("wiring: expected that of the wired CfC, got none")
    shared = [name.removesuffix("kernel") for name in _ends(named, "kernel")]
    return keras_cells.cfc(
        [keras_cells.dense(named, prefix) for prefix in shared],
        heads[0],
        activation=activation,
        squash="linear",
        mode=mode,
        pure=pure[0] if pure else None,
    )


def _ends(named: Weights, end: str) -> list[str]:
    """Names whose last part is that."""
    return [name for name in named.left if name.rpartition("/")[2] == end]


def _only(named: Weights, end: str) -> np.ndarray:
    """The weight nearest to the root of those with this last part."""
    names = sorted(_ends(named, end), key=lambda name: name.count("/"))
    if not names:
        raise WeightsError(f"{end}: missing; there is {', '.join(named.left)}")
    return named.left.pop(names[0])
