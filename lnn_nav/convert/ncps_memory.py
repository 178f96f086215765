"""Mixed memory and projection of `ncps.torch`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from lnn_nav.cells import Cell, WiredCfC
from lnn_nav.convert.arrays import Path, Weights

GATES = 4


def read_memory(
    weights: Weights, inputs: int, order: Int[np.ndarray, " m"]
) -> dict[Path, np.ndarray]:
    """The LSTM's parameters.

    Args:
        weights: arrays by name.
        inputs: number of inputs.
        order: where in ncps's memory each number of ours is.
    """
    size = len(order)
    heard = weights.take("lstm.input_map.weight", (GATES * size, inputs))
    recalled = weights.take("lstm.recurrent_map.weight", (GATES * size, size))
    units = _units(order)
    return {
        ("heard", "kernel"): heard[units].T,
        ("heard", "bias"): weights.take("lstm.input_map.bias", (GATES * size,))[units],
        ("recalled", "kernel"): recalled[units][:, order].T,
    }


def write_memory(
    values: Mapping[Path, np.ndarray], order: Int[np.ndarray, " m"]
) -> dict[str, np.ndarray]:
    """What `read_memory` reads."""
    back = np.argsort(order)
    units = _units(back)
    return {
        "lstm.input_map.weight": values["heard", "kernel"].T[units],
        "lstm.input_map.bias": values["heard", "bias"][units],
        "lstm.recurrent_map.weight": values["recalled", "kernel"].T[units][:, back],
    }


def memory_order(cell: Cell) -> Int[np.ndarray, " m"]:
    """Where in ncps's memory each number of ours is."""
    if not isinstance(cell, WiredCfC):
        return np.arange(cell.memory_size)
    return np.argsort([neuron for _, ids in cell.wiring.layers for neuron in ids])


def read_readout(weights: Weights, inputs: int, outputs: int) -> dict[Path, np.ndarray]:
    """The projection's parameters."""
    return {
        ("readout", "kernel"): weights.take("fc.weight", (outputs, inputs)).T,
        ("readout", "bias"): weights.take("fc.bias", (outputs,)),
    }


def write_readout(values: Mapping[Path, np.ndarray]) -> dict[str, np.ndarray]:
    """What `read_readout` reads."""
    return {
        "fc.weight": values["readout", "kernel"].T,
        "fc.bias": values["readout", "bias"],
    }


def _units(order: Int[np.ndarray, " m"]) -> Int[np.ndarray, " gates"]:
    """The same order within each gate."""
    return np.concatenate([gate * len(order) + order for gate in range(GATES)])
