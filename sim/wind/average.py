"""A wind that sways: the moving average of white noise."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def moving_average(
    std: float, window: int, ticks: int, draws: np.random.Generator
) -> Float[np.ndarray, "ticks 3"]:
    """The mean of the last `window` draws of white noise, on each axis apart.

    Its correlation falls linearly with the lag, to none at `window` ticks.

    Args:
        std: standard deviation of each axis of the answer [m/s].
        window: [ticks].
        ticks: how many.
        draws: the source of random numbers.

    Raises:
        ValueError: if the window holds no tick.
    """
    if window < 1:
        raise ValueError(f"window: expected 1 tick or more, got {window}")
    white = draws.standard_normal((ticks + window - 1, 3))
    sums = np.cumsum(np.concatenate([np.zeros((1, 3)), white]), axis=0)
    return std / np.sqrt(window) * (sums[window:] - sums[:-window])
