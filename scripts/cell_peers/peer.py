"""What the bench asks of a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Peer:
    """One cell of one library, ready to be timed.

    Attributes:
        implementation: the library.
        cell: what it is, the same for all that compute the same.
        forward: outputs `[B, T, o]` of the sequence; waits for them.
        forward_backward: gradient of the sum of the squared outputs for all parameters; waits.
        step: one input after the other, each waited for.
        shown: outputs of `forward` as an array.
        weights: of a network of `ncps.torch`, to be taken over.
    """

    implementation: str
    cell: str
    forward: Callable[[], object]
    forward_backward: Callable[[], object]
    step: Callable[[], object]
    shown: Callable[[], np.ndarray]
    weights: Arrays | None = None
