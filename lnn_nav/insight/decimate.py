"""Fewer points for a plot, without losing what the plot is for: the extremes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int


def kept_rows(columns: Float[np.ndarray, "T K"], most: int) -> Int[np.ndarray, " N"]:
    """Rows to keep so that the lowest and highest value of every column survive, everywhere.

    Time is cut into equal buckets; of each bucket the rows that hold a column's minimum or
    maximum stay, and so do the first and the last row of all. Rows that are not finite do not
    compete, and all rows stay where there are no more than `most`.

    Args:
        columns: the columns that are plotted together.
        most: how many rows may stay; at least `2 K + 2`.

    Returns:
        Increasing row numbers, at most `most` of them.

    Raises:
        ValueError: `most` leaves no room for the extremes of one bucket.
    """
    rows, count = columns.shape
    if most < 2 * count + 2:
        raise ValueError(f"most: expected at least {2 * count + 2}, got {most}")
    if rows <= most:
        return np.arange(rows)
    buckets = (most - 2) // (2 * count)
    edges = np.linspace(0, rows, buckets + 1).astype(int)
    lows = np.where(np.isfinite(columns), columns, np.inf)
    highs = np.where(np.isfinite(columns), columns, -np.inf)
    kept = [np.array([0, rows - 1])]
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        kept.append(first + lows[first:last].argmin(axis=0))
        kept.append(first + highs[first:last].argmax(axis=0))
    return np.unique(np.concatenate(kept))


def intervals(
    marks: Bool[np.ndarray, " T"], times: Float[np.ndarray, " T"], gap: float = 0.0
) -> list[tuple[float, float]]:
    """Stretches of time [s] over which `marks` held.

    Args:
        marks: whether it held during the tick.
        times: when each tick ended [s].
        gap: stretches that are no farther apart than this become one [s].
    """
    begins = np.concatenate([[0.0], times[:-1]])
    merged: list[tuple[float, float]] = []
    for row in np.flatnonzero(marks):
        begin, end = float(begins[row]), float(times[row])
        if merged and begin - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return merged
