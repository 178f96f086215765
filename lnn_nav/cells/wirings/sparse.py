"""A share of all synapses, drawn at random."""

from __future__ import annotations

import numpy as np

from lnn_nav.cells.wiring import Wiring
from lnn_nav.cells.wirings.full import POLARITIES, check_sizes, one_layer


def random_wiring(
    inputs: int,
    neurons: int,
    outputs: int | None = None,
    *,
    sparsity: float = 0.0,
    seed: int = 1111,
) -> Wiring:
    """Wire a share of all pairs.

    Args:
        inputs: number of inputs.
        neurons: number of neurons.
        outputs: how many of them are outputs; all by default.
        sparsity: share of the pairs that have no synapse, in [0, 1).
        seed: of pairs and polarities.

    Raises:
        ValueError: a number does not fit.
    """
    check_sizes(inputs, neurons)
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity: expected a number in [0, 1), got {sparsity}")
    rng = np.random.default_rng(seed)
    synapses, senses = np.zeros((neurons, neurons), np.int8), np.zeros((inputs, neurons), np.int8)
    # ncps draws the polarity of a sense twice; the second counts.
    for table, draws in ((synapses, 1), (senses, 2)):
        count = int(np.round(table.size * (1 - sparsity)))
        pairs = np.argwhere(np.ones(table.shape, bool))
        for source, target in rng.choice(pairs, size=count, replace=False):
            for _ in range(draws):
                table[source, target] = rng.choice(POLARITIES)
    return Wiring(synapses, senses, one_layer(neurons), neurons if outputs is None else outputs)
