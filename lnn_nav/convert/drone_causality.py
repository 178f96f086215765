"""The networks of makramchahine/drone_causality, from their weight files.

Written from the file format and the published equations; checked against what TensorFlow answers.
Layers are known by their order and by the shapes of their weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lnn_nav.convert import drone_cells
from lnn_nav.convert.arrays import Weights, WeightsError, filled
from lnn_nav.convert.drone_network import IMAGE, STRIDES, DroneNetwork, Trunk
from lnn_nav.convert.keras_cells import Layer
from lnn_nav.convert.keras_file import read_layers

COMMAND, VELOCITIES = 2, 4
Layers = list[tuple[str, Weights]]


def from_drone_causality(weights_file: str | Path, params: Mapping[str, Any]) -> DroneNetwork:
    """The network of a weight file, CNN trunk included.

    Args:
        weights_file: HDF5, as Keras 2 writes it; networks that take a command are recognised.
        params: what the network was built with, as the repository's `params.json` has it:
            `ct_network_type` (none for the NCP, which has a `seed`, and the LSTM), the `config` of
            CfCs, `wiredcfc_seed`, and `image_shape`.

    Returns:
        `network(frames [T, 144, 256, 3], command=None) -> velocities [T, 4]`, float32.

    Raises:
        WeightsError: the file or a weight is missing, damaged, unknown, or does not fit the
            parameters.
        MissingExtra: h5py, or for the CT-RNN and the GRU-ODE diffrax, is not installed.
    """
    layers = [(name, Weights(part)) for name, part in read_layers(Path(weights_file)).items()]
    colours = _take_colours(layers)
    convolutions = [_take_layer(layers, 4) for _ in STRIDES]
    last = _take_layer(layers, 2)
    listen = None
    if layers and any(array.shape[:1] == (COMMAND,) for array in layers[0][1].left.values()):
        listen = _take_layer(layers, 2)
    if len(layers) not in (1, 2):
        names = ", ".join(name for name, _ in layers) or "nothing"
        raise WeightsError(f"layers: expected a recurrent one and at most a head, got {names}")
    heard = sum(kernel.shape[1] for kernel, _ in filter(None, (last, listen)))
    _, weights = layers.pop(0)
    cell, dt = drone_cells.read(weights, params, heard)
    head = _linear(_take_layer(layers, 2)) if layers else None
    network = DroneNetwork(
        Trunk(convolutions, _linear(last), colours),
        cell,
        listen=None if listen is None else _linear(listen),
        head=head,
        dt=dt,
    )
    _try_out(network, params)
    return network


def _take_colours(layers: Layers) -> tuple[np.ndarray, np.ndarray] | None:
    """Mean and variance of the colours, where the network normalises."""
    if not layers or not any(name.endswith("mean") for name in layers[0][1].left):
        return None
    found = {name.rpartition("/")[2]: value for name, value in layers.pop(0)[1].left.items()}
    mean, variance = found.get("mean"), found.get("variance")
    if mean is None or variance is None or not mean.shape == variance.shape == IMAGE[-1:]:
        raise WeightsError(f"colours: expected mean and variance of 3, got {list(found)}")
    if np.any(variance < 0):
        raise WeightsError(f"colours: expected no negative variance, got {variance}")
    return mean, variance


def _take_layer(layers: Layers, axes: int) -> Layer:
    """Kernel and bias of the next layer."""
    if not layers:
        raise WeightsError("layers: there are fewer than the network has")
    name, weights = layers.pop(0)
    arrays = list(weights.left.values())
    if [array.ndim for array in arrays] != [axes, 1] or arrays[0].shape[-1:] != arrays[1].shape:
        found = ", ".join(str(array.shape) for array in arrays)
        raise WeightsError(f"{name}: expected a kernel of {axes} axes and a bias, got {found}")
    return arrays[0], arrays[1]


def _linear(layer: Layer) -> nnx.Linear:
    kernel, bias = layer
    drawn = nnx.Linear(*kernel.shape, rngs=nnx.Rngs(0))
    return filled(drawn, {("kernel",): kernel, ("bias",): bias})


def _try_out(network: DroneNetwork, params: Mapping[str, Any]) -> None:
    """Whether every layer takes what the one before gives.

    Raises:
        WeightsError: one does not; the message is jax's.
    """
    image = tuple(params.get("image_shape", IMAGE))
    command = None if network.listen is None else jnp.zeros(COMMAND)
    try:
        frames = jax.ShapeDtypeStruct((1, *image), jnp.float32)
        found = jax.eval_shape(lambda frames: network(frames, command), frames).shape
    except (TypeError, ValueError) as error:
        raise WeightsError(f"layers: they do not fit each other: {error}") from error
    if found != (1, VELOCITIES):
        raise WeightsError(f"velocities: expected {VELOCITIES}, got {found[1]}")
