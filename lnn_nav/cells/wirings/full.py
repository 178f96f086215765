"""Every neuron hears every neuron and every input."""

from __future__ import annotations

import numpy as np

from lnn_nav.cells.wiring import Wiring

POLARITIES = (-1, 1, 1)
"""What polarities are drawn from: two thirds of the synapses excite."""


def fully_connected(
    inputs: int,
    neurons: int,
    outputs: int | None = None,
    *,
    seed: int = 1111,
    self_connections: bool = True,
) -> Wiring:
    """Wire everything to everything.

    Args:
        inputs: number of inputs.
        neurons: number of neurons.
        outputs: how many of them are outputs; all by default.
        seed: of the polarities.
        self_connections: whether a neuron hears itself.

    Raises:
        ValueError: a number does not fit.
    """
    check_sizes(inputs, neurons)
    rng = np.random.default_rng(seed)
    synapses, senses = np.zeros((neurons, neurons), np.int8), np.zeros((inputs, neurons), np.int8)
    # One draw after the other: drawn together they would be other numbers.
    for table in (synapses, senses):
        for source, target in np.ndindex(*table.shape):
            if self_connections or table is senses or source != target:
                table[source, target] = rng.choice(POLARITIES)
    return Wiring(synapses, senses, one_layer(neurons), neurons if outputs is None else outputs)


def one_layer(neurons: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """All neurons side by side."""
    return (("neurons", tuple(range(neurons))),)


def check_sizes(inputs: int, neurons: int) -> None:
    """Refuse a wiring of nothing.

    Raises:
        ValueError: a number is not positive.
    """
    if inputs < 1 or neurons < 1:
        raise ValueError(f"inputs, neurons: expected at least 1, got {inputs} and {neurons}")
