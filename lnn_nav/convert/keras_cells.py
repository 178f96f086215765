"""Cells in the dialect of TensorFlow and Keras, from their arrays.

The same equations are meant otherwise there than in `ncps.torch` (all measured against the
originals, see the tests): the slope of a CfC's gate has the other sign; f1 and f2 of `ncps.keras`
have no activation, and a wired CfC's polarities turn the sign of their weights; the LSTM of a
mixed memory feeds the cell's inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from flax import nnx

from lnn_nav.cells import CfC, MixedMemory, WiredCfC, WiredLTC, Wiring
from lnn_nav.convert import ncps_ltc
from lnn_nav.convert.arrays import Path, Weights, WeightsError
from lnn_nav.convert.ncps_memory import memory_order

GATES = 4
Layer = tuple[np.ndarray, np.ndarray]
"""A kernel and a bias."""


def dense(weights: Weights, prefix: str, name: str = "kernel", bias: str = "bias") -> Layer:
    """A layer of any size."""
    shape = weights.shape(f"{prefix}{name}", 2)
    return weights.take(f"{prefix}{name}", shape), weights.take(f"{prefix}{bias}", shape[1:])


def cfc(
    backbone: Sequence[Layer],
    heads: Sequence[Layer],
    *,
    activation: str,
    squash: str,
    mode: str,
    pure: Layer | None = None,
) -> tuple[CfC, dict[Path, np.ndarray]]:
    """A fully connected CfC, and its parameters.

    Args:
        backbone: shared layers.
        heads: f1, f2, a and b, or f alone.
        activation: of the shared layers.
        squash: of f1 and f2.
        mode: as in `CfC`, where it is not the pure one.
        pure: w and A of the pure mode.
    """
    mode = "pure" if pure else mode
    layers = [*backbone, joined(heads)]
    neurons = heads[0][0].shape[1]
    inputs = layers[0][0].shape[0] - neurons
    widths = [kernel.shape[1] for kernel, _ in backbone]
    if inputs < 1:
        raise WeightsError(f"{neurons} neurons, but first weights of {layers[0][0].shape}")
    rngs = nnx.Rngs(0)
    cell = CfC(inputs, neurons, widths, mode=mode, activation=activation, squash=squash, rngs=rngs)
    paths: list[Path] = [("backbone",), *(("deeper", k) for k in range(len(backbone)))]
    values: dict[Path, np.ndarray] = {}
    for path, layer in zip([*paths[: len(backbone)], ("heads",)], layers, strict=True):
        values[*path, "kernel"], values[*path, "bias"] = layer
    if pure:
        values["decay",], values["rest",] = pure
    return cell, values


def wired_cfc(
    layers: Sequence[Sequence[Layer]], wiring: Wiring, mode: str, pure: Sequence[Layer] = ()
) -> tuple[WiredCfC, dict[Path, np.ndarray]]:
    """A wired CfC of `ncps.keras`, and its parameters: polarities are in the weights."""
    mode = "pure" if pure else mode
    cell = WiredCfC(wiring, mode=mode, squash="linear", compat="ncps", rngs=nnx.Rngs(0))
    values: dict[Path, np.ndarray] = {}
    if len(layers) != len(wiring.layers):
        raise WeightsError(f"wiring: expected {len(layers)} layers, got {len(wiring.layers)}")
    before: tuple[int, ...] | None = None
    for k, ((_, ids), heads) in enumerate(zip(wiring.layers, layers, strict=True)):
        rows = wiring.senses if before is None else wiring.synapses[np.array(before)]
        signs = np.concatenate([rows[:, np.array(ids)], np.ones((len(ids), len(ids)))])
        if (found := heads[0][0].shape) != signs.shape:
            raise WeightsError(f"wiring: expected one for weights of {found}, got {signs.shape}")
        # f1 and f2 alone are wired, and by the sign.
        values["kernels", k], values["biases", k] = joined(
            [(w * signs.astype(w.dtype), b) if j < 2 else (w, b) for j, (w, b) in enumerate(heads)]
        )
        if pure:
            values["decays", k], values["rests", k] = pure[k]
        before = ids
    return cell, values


def joined(heads: Sequence[Layer]) -> Layer:
    """Heads side by side; the slope turned round (the third, where there are four)."""
    turned = [(-w, -b) if k == 2 else (w, b) for k, (w, b) in enumerate(heads)]
    if len({kernel.shape for kernel, _ in turned}) != 1:
        shapes = ", ".join(str(kernel.shape) for kernel, _ in turned)
        raise WeightsError(f"heads: expected one shape, got {shapes}")
    kernels, biases = zip(*turned, strict=True)
    return np.concatenate(kernels, axis=1), np.concatenate(biases)


def ltc(
    arrays: Mapping[str, np.ndarray], wiring: Wiring | None, unfolds: int
) -> tuple[WiredLTC, dict[Path, np.ndarray]]:
    """An LTC, and its parameters.

    Args:
        arrays: by the names that `ncps` has for them, without masks.
        wiring: the masks; without one, everything is connected.
        unfolds: solver steps an input.
    """
    tables = {"": "synapses", "sensory_": "senses"}
    masks = {}
    for prefix, table in tables.items():
        if (name := f"{prefix}w") not in arrays:
            raise WeightsError(f"{name}: missing; there is {', '.join(arrays)}")
        found = None if wiring is None else np.abs(getattr(wiring, table))
        masks[f"{prefix}sparsity_mask"] = np.ones_like(arrays[name]) if found is None else found
    named = {f"{ncps_ltc.CELL}{name}": value for name, value in {**arrays, **masks}.items()}
    weights = Weights(named)
    cell, values = ncps_ltc.read(weights, wiring, unfolds, softplus=False)
    weights.finish()
    return cell, values


def mixed(
    cell: CfC | WiredCfC | WiredLTC, gates: Sequence[np.ndarray], forget: float
) -> tuple[MixedMemory, dict[Path, np.ndarray]]:
    """The LSTM before a cell, and its parameters without the cell's.

    Args:
        cell: with as many inputs as neurons.
        gates: kernel from the inputs, kernel from the memory, bias.
        forget: added to the gate that keeps.
    """
    heard, recalled, bias = gates
    size = cell.memory_size
    if heard.shape[1:] != (GATES * size,) or recalled.shape != (size, GATES * size):
        found = f"{heard.shape} and {recalled.shape}"
        raise WeightsError(f"gates: expected {GATES} of {size}, got {found}")
    whole = MixedMemory(
        cell, inputs=heard.shape[0], place="inputs", forget=forget, rngs=nnx.Rngs(0)
    )
    return whole, {
        ("heard", "kernel"): heard,
        ("heard", "bias"): bias,
        ("recalled", "kernel"): recalled[memory_order(cell)],
    }
