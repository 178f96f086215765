"""CfC cells of `ncps.torch`, fully connected and wired."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from flax import nnx

from lnn_nav.cells import CfC, WiredCfC, Wiring
from lnn_nav.cells.wired_cfc import wired_masks
from lnn_nav.convert.arrays import Path, Weights, WeightsError

CELL = "rnn_cell."
NAMES = ("inter", "command", "motor")


def read(weights: Weights, mode: str, activation: str) -> tuple[CfC, dict[Path, np.ndarray]]:
    """A fully connected CfC, and its parameters."""
    mode = _mode(weights, CELL, mode)
    neurons, width = weights.shape(f"{CELL}ff1.weight", 2)
    widths = []
    # There, activations stand between the layers, and dropout after some of them.
    places = sorted(
        int(name.split(".")[2])
        for name in weights.left
        if name.startswith(f"{CELL}backbone.") and name.endswith(".weight")
    )
    for place in places:
        widths.append(weights.shape(f"{CELL}backbone.{place}.weight", 2)[0])
    first = weights.shape(f"{CELL}backbone.{places[0]}.weight", 2)[1] if places else width
    cell = CfC(first - neurons, neurons, widths, mode=mode, activation=activation, rngs=nnx.Rngs(0))
    values, before = {}, first
    for k, (place, size) in enumerate(zip(places, widths, strict=True)):
        path = ("deeper", k - 1) if k else ("backbone",)
        name = f"{CELL}backbone.{place}"
        values[*path, "kernel"] = weights.take(f"{name}.weight", (size, before)).T
        values[*path, "bias"] = weights.take(f"{name}.bias", (size,))
        before = size
    kernel, bias = _take_heads(weights, CELL, mode, (neurons, before))
    values |= {("heads", "kernel"): kernel, ("heads", "bias"): bias}
    if mode == "pure":
        values["decay",], values["rest",] = _take_pure(weights, CELL, neurons)
    return cell, values


def write(cell: CfC, values: Mapping[Path, np.ndarray]) -> dict[str, np.ndarray]:
    """What `read` reads."""
    if cell.squash != "tanh":
        raise WeightsError(f"squash: ncps has 'tanh' only, got {cell.squash!r}")
    given = {}
    paths = [path[:-1] for path in values if path[0] in ("backbone", "deeper")]
    for k, path in enumerate(sorted(set(paths), key=lambda path: (len(path), path))):
        # A layer, an activation, a layer, ...
        given[f"{CELL}backbone.{2 * k}.weight"] = values[*path, "kernel"].T
        given[f"{CELL}backbone.{2 * k}.bias"] = values[*path, "bias"]
    kernel, bias = values["heads", "kernel"], values["heads", "bias"]
    given |= _give_heads(CELL, cell.mode, kernel, bias)
    if cell.mode == "pure":
        given |= _give_pure(CELL, values["decay",], values["rest",])
    return given


def read_wired(
    weights: Weights, wiring: Wiring | None, mode: str
) -> tuple[WiredCfC, dict[Path, np.ndarray]]:
    """A wired CfC, and its parameters."""
    mode = _mode(weights, f"{CELL}layer_0.", mode)
    masks = []
    while f"{CELL}layer_{len(masks)}.ff1.weight" in weights:
        name = f"{CELL}layer_{len(masks)}.sparsity_mask"
        masks.append(weights.take(name, weights.shape(name, 2)).T)
    wiring = wiring or _wiring(masks)
    cell = WiredCfC(wiring, mode=mode, compat="ncps", rngs=nnx.Rngs(0))
    values: dict[Path, np.ndarray] = {}
    for k, mask in enumerate(masks):
        prefix, neurons = f"{CELL}layer_{k}.", mask.shape[1]
        kernel, bias = _take_heads(weights, prefix, mode, (neurons, mask.shape[0]))
        values["kernels", k], values["biases", k] = kernel, bias
        if mode == "pure":
            values["decays", k], values["rests", k] = _take_pure(weights, prefix, neurons)
    wanted = wired_masks(wiring, "pure", "ncps")
    if len(wanted) != len(masks) or any(map(_differ, wanted, masks)):
        raise WeightsError("wiring: expected the synapses that the weights' masks have")
    return cell, values


def write_wired(cell: WiredCfC, values: Mapping[Path, np.ndarray]) -> dict[str, np.ndarray]:
    """What `read_wired` reads."""
    if cell.compat != "ncps" or cell.squash != "tanh":
        raise WeightsError("cell: ncps has wired CfCs with compat='ncps' and squash='tanh' only")
    given = {}
    for k, mask in enumerate(wired_masks(cell.wiring, "pure", "ncps")):
        prefix, kernel = f"{CELL}layer_{k}.", values["kernels", k]
        given |= _give_heads(prefix, cell.mode, kernel, values["biases", k])
        given[f"{prefix}sparsity_mask"] = mask.T.astype(kernel.dtype)
        if cell.mode == "pure":
            given |= _give_pure(prefix, values["decays", k], values["rests", k])
    return given


def _differ(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape != b.shape or bool(np.any((a != 0) != (b != 0)))


def _mode(weights: Weights, prefix: str, mode: str) -> str:
    return "pure" if f"{prefix}w_tau" in weights else mode


def _heads(mode: str) -> tuple[str, ...]:
    return ("ff1",) if mode == "pure" else ("ff1", "ff2", "time_a", "time_b")


def _take_heads(
    weights: Weights, prefix: str, mode: str, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    names = [f"{prefix}{name}" for name in _heads(mode)]
    kernels = [weights.take(f"{name}.weight", shape).T for name in names]
    biases = [weights.take(f"{name}.bias", shape[:1]) for name in names]
    return np.concatenate(kernels, axis=1), np.concatenate(biases)


def _give_heads(
    prefix: str, mode: str, kernel: np.ndarray, bias: np.ndarray
) -> dict[str, np.ndarray]:
    names = _heads(mode)
    kernels, biases = np.split(kernel, len(names), axis=1), np.split(bias, len(names))
    given = {f"{prefix}{name}.weight": part.T for name, part in zip(names, kernels, strict=True)}
    return given | {f"{prefix}{name}.bias": part for name, part in zip(names, biases, strict=True)}


def _take_pure(weights: Weights, prefix: str, neurons: int) -> tuple[np.ndarray, np.ndarray]:
    decay, rest = (weights.take(f"{prefix}{name}", (1, neurons))[0] for name in ("w_tau", "A"))
    return decay, rest


def _give_pure(prefix: str, decay: np.ndarray, rest: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{prefix}w_tau": decay[None], f"{prefix}A": rest[None]}


def _wiring(masks: list[np.ndarray]) -> Wiring:
    """The wiring that the masks of all layers show, every synapse exciting."""
    sizes = [mask.shape[1] for mask in masks]
    names = NAMES if len(masks) == len(NAMES) else tuple(f"layer {k}" for k in range(len(masks)))
    # The last layer has the first neurons.
    ends = np.cumsum(sizes[::-1])[::-1]
    layers = [tuple(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]
    synapses = np.zeros((sum(sizes), sum(sizes)), np.int8)
    for mask, before, ids in zip(masks[1:], layers[:-1], layers[1:], strict=True):
        synapses[np.ix_(before, ids)] = mask[: len(before)] != 0
    senses = np.zeros((masks[0].shape[0] - sizes[0], sum(sizes)), np.int8)
    senses[:, layers[0]] = masks[0][: len(senses)] != 0
    return Wiring(synapses, senses, tuple(zip(names, layers, strict=True)), sizes[-1])
