"""Weight files of Keras 2 (HDF5): the layers and their weights, in the order of the network.

The format: the root names its layers (`layer_names`), and the group of each names its weights
(`weight_names`), all in the network's order.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lnn_nav.convert.arrays import WeightsError
from lnn_nav.extras import liquid

MOST = 2**30
"""Bytes of weights in a file; what says that it holds more is no network of this kind."""

if TYPE_CHECKING:
    import h5py

Layers = dict[str, dict[str, np.ndarray]]


def read_layers(file: Path) -> Layers:
    """Weights by name, by the name of their layer; layers without weights are left out.

    Raises:
        WeightsError: the file is missing, damaged, or no weight file.
        MissingExtra: h5py is not installed.
    """
    h5py = liquid("h5py")
    try:
        with h5py.File(file, "r") as root:
            names = [_text(name) for name in root.attrs["layer_names"]]
            layers = {name: _weights(root[name]) for name in names}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        # One sentence, whatever the library stumbled over.
        raise WeightsError(f"{file}: expected a weight file of Keras 2, got: {error}") from error
    return {name: weights for name, weights in layers.items() if weights}


def _weights(group: h5py.Group) -> dict[str, np.ndarray]:
    names = [_text(name) for name in group.attrs["weight_names"]]
    if sum(group[name].nbytes for name in names) > MOST:
        raise ValueError(f"{group.name}: more than {MOST} bytes of weights")
    return {name.partition(":")[0]: np.asarray(group[name]) for name in names}


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
