"""The recurrent cells of makramchahine/drone_causality, from the weights of their layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from flax import nnx

from lnn_nav.cells import CTRNN, GRUODE, LSTM, Cell
from lnn_nav.cells.wirings import ncp
from lnn_nav.convert import keras_cells
from lnn_nav.convert.arrays import Path, Weights, WeightsError, filled

Params = Mapping[str, Any]
LATER = 1e-3
"""The fully connected LTC adds it to the time between frames."""
FLOWN = {"sensory_fanout": 6, "inter_fanout": 4, "recurrent": 4, "motor_fanin": 6}
"""Of the wirings that flew: 18 inter, 12 command and 4 motor neurons."""
SEED = 22222
ACTIVATIONS = {"lecun": "lecun_tanh"}
"""Their names for what has another name here."""


def read(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    """A cell, and what it takes for the time between frames.

    Args:
        weights: of the recurrent layer, by name and in order.
        params: what the network was built with.
        heard: number of features that the cell hears.

    Raises:
        WeightsError: weights are missing, unknown, or not those of the parameters.
    """
    kind = _kind(weights, params)
    cell, dt = READERS[kind](weights, params, heard)
    weights.finish()
    if cell.inputs != heard:
        raise WeightsError(f"{kind}: expected a cell of {heard} inputs, got {cell.inputs}")
    return cell, dt


def _kind(weights: Weights, params: Params) -> str:
    """What the parameters say it is; those of the NCP and of the LSTM do not."""
    if (kind := params.get("ct_network_type")) is None:
        kind = "ncp" if "seed" in params else "lstm"
    if kind not in READERS:
        known = ", ".join(READERS)
        raise WeightsError(f"ct_network_type: expected one of {known}, got {kind!r}")
    if len(sizes := params.get("rnn_sizes", [0])) != 1:
        raise WeightsError(f"rnn_sizes: expected one recurrent layer, got {sizes}")
    return kind


def _cfc(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    cell, values = _cfc_parts(weights, params)
    return filled(cell, values), 1.0


def _mixed(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    gates = [_take(weights, name) for name in ("input_kernel", "recurrent_kernel", "cell/bias")]
    cell, values = _cfc_parts(weights, params)
    forget = _config(params).get("forget_bias", 1.0)
    whole, more = keras_cells.mixed(cell, gates, forget)
    values = {("cell", *path): value for path, value in values.items()} | more
    # It was never told the time: there, none means zero.
    return filled(whole, values), 0.0


def _cfc_parts(weights: Weights, params: Params) -> tuple[keras_cells.CfC, dict]:
    config = _config(params)
    layers = [_next_dense(weights) for _ in range(_number(config, "backbone_layers"))]
    heads = [_next_dense(weights) for _ in range(1 if config.get("minimal") else 4)]
    pure = None
    if config.get("minimal"):
        pure = tuple(_first(weights)[0] for _ in range(2))
    name = config.get("backbone_activation", "lecun")
    return keras_cells.cfc(
        layers,
        heads,
        activation=ACTIVATIONS.get(name, name),
        squash="lecun_tanh",
        mode="no_gate" if config.get("no_gate") else "gated",
        pure=pure,
    )


def _wired_cfc(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    wiring = ncp(heard, 18, 12, 4, **FLOWN, seed=params.get("wiredcfc_seed", SEED))
    layers = []
    while weights.left:
        layers.append([_next_dense(weights) for _ in range(4)])
    cell, values = keras_cells.wired_cfc(layers, wiring, "gated")
    return filled(cell, values), 1.0


def _ncp(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    wiring = ncp(heard, 18, 12, 4, **FLOWN, seed=params.get("seed", SEED))
    arrays = _by_last_name(weights)
    # Reversals begin as polarities, and where there is no synapse they stay zero.
    for name, table in (("erev", wiring.synapses), ("sensory_erev", wiring.senses)):
        found = arrays.get(name)
        if found is None or found.shape != table.shape or np.any((found != 0) != (table != 0)):
            raise WeightsError(f"seed: the weights' {name} are not wired so")
    cell, values = keras_cells.ltc(arrays, wiring, unfolds=6)
    return filled(cell, values), 1.0


def _ltc(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    cell, values = keras_cells.ltc(_by_last_name(weights), None, unfolds=3)
    if cell.outputs != cell.memory_size:
        wanted = f"{cell.memory_size} outputs of as many neurons"
        raise WeightsError(f"ltc: expected {wanted}, got {cell.outputs}")
    return filled(cell, values), 1.0 + LATER


def _lstm(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    kernel, recurrent, bias = (_first(weights) for _ in range(3))
    cell = LSTM(kernel.shape[0], recurrent.shape[0], rngs=nnx.Rngs(0))
    values: dict[Path, np.ndarray] = {
        ("cell", "dense_i", "kernel"): kernel,
        ("cell", "dense_h", "kernel"): recurrent,
        ("cell", "dense_h", "bias"): bias,
    }
    return filled(cell, values), 1.0


def _gru_ode(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    names = ("reset", "candidate", "update")
    layers = {name: _next_dense(weights) for name in names}
    fused, neurons = layers["reset"][0].shape
    cell = GRUODE(fused - neurons, neurons, rngs=nnx.Rngs(0))
    values: dict[Path, np.ndarray] = {}
    for name, layer in layers.items():
        values[name, "kernel"], values[name, "bias"] = layer
    return filled(cell, values), 1.0


def _ct_rnn(weights: Weights, params: Params, heard: int) -> tuple[Cell, float]:
    kernel, recurrent, bias, scale = (_first(weights) for _ in range(4))
    cell = CTRNN(kernel.shape[0], kernel.shape[1], rngs=nnx.Rngs(0))
    values = {("kernel",): kernel, ("recurrent",): recurrent, ("bias",): bias, ("scale",): scale}
    return filled(cell, values), 1.0


READERS: dict[str, Callable[[Weights, Params, int], tuple[Cell, float]]] = {
    "cfc": _cfc,
    "mixedcfc": _mixed,
    "wiredcfccell": _wired_cfc,
    "ncp": _ncp,
    "ltc": _ltc,
    "lstm": _lstm,
    "gruode": _gru_ode,
    "ctrnn": _ct_rnn,
}
"""Reader of each kind by the repository's name for it."""


def _config(params: Params) -> Params:
    config = params.get("config")
    if not isinstance(config, Mapping):
        raise WeightsError(f"config: expected that of a CfC, got {config!r}")
    return config


def _number(config: Params, name: str) -> int:
    if not isinstance(count := config.get(name), int) or not 0 <= count <= 100:
        raise WeightsError(f"{name}: expected a small number, got {count!r}")
    return count


def _first(weights: Weights) -> np.ndarray:
    """The next weight in order."""
    if not weights.left:
        raise WeightsError("weights: there are fewer than the parameters ask for")
    return weights.left.pop(next(iter(weights.left)))


def _next_dense(weights: Weights) -> keras_cells.Layer:
    kernel, bias = _first(weights), _first(weights)
    if kernel.ndim != 2 or bias.shape != kernel.shape[1:]:
        found = f"{kernel.shape} and {bias.shape}"
        raise WeightsError(f"weights: expected a kernel and its bias, got {found}")
    return kernel, bias


def _take(weights: Weights, end: str) -> np.ndarray:
    """The first weight whose name ends so."""
    for name in weights.left:
        if name.endswith(end):
            return weights.left.pop(name)
    raise WeightsError(f"{end}: missing; there is {', '.join(weights.left) or 'nothing'}")


def _by_last_name(weights: Weights) -> dict[str, np.ndarray]:
    arrays = {name.rpartition("/")[2]: value for name, value in weights.left.items()}
    weights.left.clear()
    return arrays
