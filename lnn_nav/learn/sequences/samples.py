"""Labelled sequences sampled at irregular times, side by side in padded arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Samples:
    """Labelled sequences; what lies behind a sequence's length is zero and means nothing.

    Attributes:
        inputs: features (float32).
        dt: time since the step before, since the beginning for the first (float32).
        lengths: steps of each sequence, from the first (int32).
        labels: class of each sequence, from 0 (int32).
    """

    inputs: Float[np.ndarray, "n T features"]
    dt: Float[np.ndarray, "n T"]
    lengths: Int[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.labels)

    def take(self, rows: Int[np.ndarray, " k"] | slice, width: int | None = None) -> Samples:
        """Some of the sequences, at most `width` steps wide."""
        return Samples(
            self.inputs[rows, :width], self.dt[rows, :width], self.lengths[rows], self.labels[rows]
        )


def batches(
    lengths: Int[np.ndarray, " n"], size: int, rng: np.random.Generator, stride: int
) -> list[tuple[Int[np.ndarray, " batch"], int]]:
    """Every sequence once, in random batches of like length: few steps are spent on padding.

    Batches are `size` sequences and a multiple of `stride` steps wide, so that few programs are
    compiled. What does not fill a batch joins the next wider one; the last is filled with some
    that come twice.

    Returns:
        Rows and width of each batch.
    """
    widths = -(-lengths // stride) * stride
    plan: list[tuple[np.ndarray, int]] = []
    left = np.zeros(0, np.int64)
    for width in np.unique(widths):
        rows = np.concatenate([left, rng.permutation(np.flatnonzero(widths == width))])
        full = len(rows) // size * size
        plan += [(rows[at : at + size], int(width)) for at in range(0, full, size)]
        left = rows[full:]
    if len(left):
        fill = rng.choice(len(lengths), size - len(left))
        rows = np.concatenate([left, fill])
        plan.append((rows, int(widths[rows].max())))
    return [plan[at] for at in rng.permutation(len(plan))]
