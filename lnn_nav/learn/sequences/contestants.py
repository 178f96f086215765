"""The cells that can be trained, by name, at an equal number of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import jax.numpy as jnp
import numpy as np
from flax import nnx

from lnn_nav.cells import GRU, GRUODE, LSTM, LTC, CfC, MixedMemory
from lnn_nav.cells.protocol import Cell
from lnn_nav.learn.config import TrainError
from lnn_nav.learn.sequences.model import Classifier, parameters_of
from lnn_nav.learn.sequences.samples import Samples

SLOPE, LATEST = 16.0, 3.0
"""Of gates at the start: steepness [1/s], and the longest time at which one opens [s]."""


@dataclass(frozen=True)
class Backbone:
    """Shape of the liquid cells' backbone.

    Attributes:
        activation: of its one layer.
        width: of the layer, in neurons of the cell.
    """

    activation: str
    width: int


@dataclass(frozen=True)
class Contestant:
    """A cell as it takes part.

    Attributes:
        build: constructor: (inputs, neurons, backbone, rngs) -> cell.
        sees: what it is shown of a sequence.
        added: features that `sees` adds.
    """

    build: Callable[[int, int, Backbone, nnx.Rngs], Cell]
    sees: Callable[[Samples], Samples] = lambda samples: samples
    added: int = 0

    def classifier(
        self, features: int, neurons: int, classes: int, backbone: Backbone, rngs: nnx.Rngs
    ) -> Classifier:
        """The cell and its readout."""
        cell = self.build(features + self.added, neurons, backbone, rngs)
        return Classifier(cell, classes, rngs=rngs)

    def neurons_within(
        self, features: int, classes: int, backbone: Backbone, parameters: int
    ) -> int:
        """The most neurons with which cell and readout have at most `parameters` parameters.

        Raises:
            TrainError: not even one neuron fits.
        """

        def size(neurons: int) -> int:
            make = partial(self.classifier, features, neurons, classes, backbone)
            return parameters_of(nnx.eval_shape(lambda: make(nnx.Rngs(0))))

        # Matrices between layers: of the second degree in the neurons, for every cell.
        one, two, three = size(1), size(2), size(3)
        slope, bend = two - one, three - 2 * two + one
        if one > parameters:
            raise TrainError(f"parameters: expected {one} or more, got {parameters}")
        more = 0
        while one + more * slope + more * (more - 1) // 2 * bend <= parameters:
            more += 1
        return more


def spread_gates(cell: CfC) -> None:
    """Let a gated CfC begin with gates that open one after the other, at times side by side.

    Neuron after neuron, s = sigmoid(SLOPE (dt - t)) with t from 0 to `LATEST`, plus what the
    backbone says. Gates drawn around zero open at about the same time, and what lies behind it
    would have to be found by chance. The thought is that of Tallec and Ollivier, "Can recurrent
    neural networks warp time?", 2018: begin with the times that are to be expected.
    """
    bias = cell.heads.bias
    if cell.mode != "gated" or bias is None:
        raise ValueError(f"mode: expected a gated CfC with biases, got {cell.mode!r}")
    count = cell.memory_size
    opens = jnp.linspace(0, LATEST, count + 1)[1:].astype(bias[...].dtype)
    ends = jnp.concatenate([jnp.full_like(opens, SLOPE), -SLOPE * opens])
    bias[...] = jnp.concatenate([bias[...][: 2 * count], ends])


def _cfc(inputs: int, neurons: int, backbone: Backbone, rngs: nnx.Rngs) -> CfC:
    width, activation = backbone.width * neurons, backbone.activation
    cell = CfC(inputs, neurons, width, activation=activation, rngs=rngs)
    spread_gates(cell)
    return cell


def _mixed(inputs: int, neurons: int, backbone: Backbone, rngs: nnx.Rngs) -> MixedMemory:
    return MixedMemory(_cfc(inputs, neurons, backbone, rngs), rngs=rngs)


def _ltc(inputs: int, neurons: int, _: Backbone, rngs: nnx.Rngs) -> LTC:
    return LTC(inputs, neurons, rngs=rngs)


def _lstm(inputs: int, neurons: int, _: Backbone, rngs: nnx.Rngs) -> LSTM:
    return LSTM(inputs, neurons, rngs=rngs)


def _gru(inputs: int, neurons: int, _: Backbone, rngs: nnx.Rngs) -> GRU:
    return GRU(inputs, neurons, rngs=rngs)


def _gruode(inputs: int, neurons: int, _: Backbone, rngs: nnx.Rngs) -> GRUODE:
    return GRUODE(inputs, neurons, rngs=rngs)


def blind(samples: Samples) -> Samples:
    """Time hidden: 1 between all steps."""
    return replace(samples, dt=np.ones_like(samples.dt))


def told(samples: Samples) -> Samples:
    """Time as one more feature."""
    inputs = np.concatenate([samples.inputs, samples.dt[..., None]], axis=-1)
    return replace(samples, inputs=inputs)


CONTESTANTS: dict[str, Contestant] = {
    "cfc": Contestant(_cfc),
    "cfc-blind": Contestant(_cfc, blind),
    "mixed": Contestant(_mixed),
    "ltc": Contestant(_ltc),
    "lstm": Contestant(_lstm),
    "lstm-told": Contestant(_lstm, told, 1),
    "gru": Contestant(_gru),
    "gru-told": Contestant(_gru, told, 1),
    "gruode": Contestant(_gruode),
}
"""By name; `-blind` is shown a constant dt, `-told` has dt as a feature."""
