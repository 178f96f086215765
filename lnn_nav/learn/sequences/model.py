"""A cell that reads a sequence, and a linear layer that says what it was."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from lnn_nav.cells.protocol import Cell
from lnn_nav.cells.sequence import unroll
from lnn_nav.learn.sequences.samples import Samples

AT_ONCE = 1000
"""Sequences that are evaluated together."""


class Classifier(nnx.Module):
    """Scores of the classes, from the cell's output at the last step.

    Attributes:
        cell: the cell.
        readout: the layer.
    """

    def __init__(self, cell: Cell, classes: int, *, rngs: nnx.Rngs) -> None:
        """Draw the layer's weights."""
        self.cell = cell
        self.readout = nnx.Linear(cell.outputs, classes, rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "batch T features"],
        dt: Float[Array, "batch T"],
        lengths: Int[Array, " batch"],
    ) -> Float[Array, "batch classes"]:
        """Scores of padded sequences; see `lnn_nav.cells.unroll`."""
        return self.readout(self.last(inputs, dt, lengths))

    def last(
        self,
        inputs: Float[Array, "batch T features"],
        dt: Float[Array, "batch T"],
        lengths: Int[Array, " batch"],
    ) -> Float[Array, "batch outputs"]:
        """What the cell says at the last step of each sequence."""
        _, outputs = unroll(self.cell, inputs, dt, lengths=lengths)
        return jnp.take_along_axis(outputs, (lengths - 1)[:, None, None], axis=1)[:, 0]


def parameters_of(module: nnx.Module) -> int:
    """How many numbers it learns."""
    leaves: list[Any] = jax.tree.leaves(nnx.state(module, nnx.Param))
    return sum(leaf.size for leaf in leaves)


def accuracy(model: Classifier, samples: Samples) -> float:
    """Share of the sequences that a classifier gets right."""
    return float((_all_of(model, samples, "__call__").argmax(axis=-1) == samples.labels).mean())


def last_outputs(model: Classifier, samples: Samples) -> Float[np.ndarray, "n outputs"]:
    """What the cell of a classifier says at the last step of every sequence."""
    return _all_of(model, samples, "last")


def _all_of(model: Classifier, samples: Samples, method: str) -> np.ndarray:
    """A method's answers, batch after batch; the last one is filled up from the beginning."""
    graph, params = nnx.split(model)
    count, answers = len(samples), []
    for at in range(0, count, AT_ONCE):
        part = samples.take(np.arange(at, at + AT_ONCE) % count)
        told = (part.inputs, part.dt, part.lengths)
        answers.append(np.asarray(_answers(graph, method, params, *told)))
    return np.concatenate(answers)[:count]


@partial(jax.jit, static_argnums=(0, 1))
def _answers(
    graph: Any,  # noqa: ANN401 - the static half of an nnx split
    method: str,
    params: Any,  # noqa: ANN401 - an nnx.State
    *told: Array,
) -> Array:
    return getattr(nnx.merge(graph, params), method)(*told)
