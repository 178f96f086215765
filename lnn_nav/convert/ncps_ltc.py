"""LTC cells of `ncps.torch`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from flax import nnx

from lnn_nav.cells import WiredLTC, Wiring
from lnn_nav.cells.wirings.full import one_layer
from lnn_nav.convert.arrays import Path, Weights, WeightsError

CELL = "rnn_cell."
LEAST = 1e-30
"""Conductance that stands for none, where softplus cannot give zero."""
LISTS = {"weight": "w", "slope": "sigma", "middle": "mu", "reversal": "erev"}
TABLES = {"synapses": "", "senses": "sensory_"}


def read(
    weights: Weights, wiring: Wiring | None, unfolds: int, softplus: bool
) -> tuple[WiredLTC, dict[Path, np.ndarray]]:
    """An LTC, and its parameters."""
    inputs, neurons = weights.shape(f"{CELL}sensory_w", 2)
    shapes = {"synapses": (neurons, neurons), "senses": (inputs, neurons)}
    masks = {
        table: weights.take(f"{CELL}{prefix}sparsity_mask", shapes[table]) != 0
        for table, prefix in TABLES.items()
    }
    signs = {
        table: np.where(weights.left[f"{CELL}{prefix}erev"] < 0, -1, 1) * masks[table]
        if f"{CELL}{prefix}erev" in weights
        else masks[table]
        for table, prefix in TABLES.items()
    }
    outputs = weights.shape(f"{CELL}output_w", 1)[0] if f"{CELL}output_w" in weights else neurons
    if wiring is None:
        wiring = Wiring(signs["synapses"], signs["senses"], one_layer(neurons), outputs)
    elif any(np.any((getattr(wiring, table) != 0) != masks[table]) for table in TABLES):
        raise WeightsError("wiring: expected the synapses that the weights' masks have")
    values: dict[Path, np.ndarray] = {}
    for table, prefix in TABLES.items():
        for ours, theirs in LISTS.items():
            value = weights.take(f"{CELL}{prefix}{theirs}", shapes[table])[masks[table]]
            values[table, ours] = _raw(f"{prefix}w", value, softplus) if ours == "weight" else value
    for ours, theirs in {"leak": "gleak", "rest": "vleak", "capacitance": "cm"}.items():
        value = weights.take(f"{CELL}{theirs}", (neurons,))
        values[ours,] = value if ours == "rest" else _raw(theirs, value, softplus)
    maps = {
        "gain": ("input_w", inputs, 1),
        "offset": ("input_b", inputs, 0),
        "read": ("output_w", outputs, 1),
        "level": ("output_b", outputs, 0),
    }
    dtype = values["rest",].dtype
    for ours, (name, size, default) in maps.items():
        there = f"{CELL}{name}" in weights
        flat = np.full(size, default, dtype)
        values[ours,] = weights.take(f"{CELL}{name}", (size,)) if there else flat
    return WiredLTC(wiring, unfolds, rngs=nnx.Rngs(0)), values


def write(cell: WiredLTC, values: Mapping[Path, np.ndarray]) -> dict[str, np.ndarray]:
    """What `read` reads, with softplus."""
    given = {}
    for table, prefix in TABLES.items():
        polarity = getattr(cell.wiring, table)
        for ours, theirs in LISTS.items():
            value = values[table, ours]
            whole = np.zeros(polarity.shape, value.dtype)
            whole[polarity != 0] = value
            given[f"{CELL}{prefix}{theirs}"] = whole
        given[f"{CELL}{prefix}sparsity_mask"] = (polarity != 0).astype(value.dtype)
    names = {"leak": "gleak", "rest": "vleak", "capacitance": "cm", "gain": "input_w"}
    names |= {"offset": "input_b", "read": "output_w", "level": "output_b"}
    return given | {f"{CELL}{theirs}": values[ours,] for ours, theirs in names.items()}


def _raw(name: str, value: np.ndarray, softplus: bool) -> np.ndarray:
    """Numbers whose softplus is what the weights mean."""
    if softplus:
        return value
    if np.any(value < 0):
        raise WeightsError(f"{CELL}{name}: expected no negative numbers, got {value.min()}")
    wide = np.maximum(value.astype(np.float64), LEAST)
    return (wide + np.log(-np.expm1(-wide))).astype(value.dtype)
