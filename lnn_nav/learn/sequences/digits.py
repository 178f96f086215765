"""Handwritten digits, row after row or point after point, with most of them lost.

The 1,797 pictures of 8 x 8 pixels that scikit-learn brings along (UCI's "Optical recognition of
handwritten digits"). A picture becomes a sequence of its rows, a time unit apart, of which 30 to
70 % are lost at random; or of single pixels, looked at one after the other at random times. Where
in the picture a step belongs is only told by the time that has passed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from lnn_nav.extras import liquid
from lnn_nav.learn.sequences.samples import Samples

SIDE = 8
"""Rows of a picture, and pixels of a row."""

LOST = (0.3, 0.7)
"""Least and largest share of the steps that are lost, drawn for each picture."""

TEST, VALIDATION = 500, 297
"""Pictures that are held back: for the figures, and to choose by."""


class Pictures(NamedTuple):
    """Pictures and what they show.

    Attributes:
        pixels: brightness, 0 to 1 (float32).
        labels: the digit (int32).
    """

    pixels: Float[np.ndarray, "n 8 8"]
    labels: Int[np.ndarray, " n"]


class Split(NamedTuple):
    """Pictures to learn from, to choose by, and to be judged by; always the same."""

    train: Pictures
    validation: Pictures
    test: Pictures


def load_pictures() -> Split:
    """Read the pictures and split them.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    data = liquid("sklearn.datasets").load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    pixels, labels = (data.images / 16).astype(np.float32), data.target.astype(np.int32)
    parts = np.split(order, [len(order) - TEST - VALIDATION, len(order) - TEST])
    return Split(*(Pictures(pixels[rows], labels[rows]) for rows in parts))


def as_rows(
    pictures: Pictures, rng: np.random.Generator, lost: tuple[float, float] = LOST
) -> Samples:
    """Rows from the top, a time unit apart; some are lost, at least one is left.

    Raises:
        ValueError: for shares that are none.
    """
    times = np.broadcast_to(np.arange(1.0, SIDE + 1), (len(pictures.labels), SIDE))
    return _without(pictures.pixels, times, pictures.labels, rng, lost)


def as_points(
    pictures: Pictures, rng: np.random.Generator, lost: tuple[float, float] = LOST
) -> Samples:
    """Single pixels in the order of writing, at random times; some are lost.

    The scan goes over the picture in 8 time units; each pixel is read at a random time of the
    moments in which the scan is over it.
    """
    count = len(pictures.labels)
    times = (np.arange(SIDE**2) + rng.random((count, SIDE**2))) / SIDE
    return _without(pictures.pixels.reshape(count, -1, 1), times, pictures.labels, rng, lost)


def _without(
    steps: Float[np.ndarray, "n T features"],
    times: Float[np.ndarray, "n T"],
    labels: Int[np.ndarray, " n"],
    rng: np.random.Generator,
    lost: tuple[float, float],
) -> Samples:
    """Lose a random share of the steps of each sequence; the others move together."""
    if not 0 <= lost[0] <= lost[1] <= 1:
        raise ValueError(f"lost: expected two shares in order, 0 to 1, got {lost}")
    count, width, _ = steps.shape
    left = np.rint(width * (1 - rng.uniform(*lost, count))).astype(np.int32).clip(1)
    # The steps that are kept come first, in their order.
    rank = rng.random((count, width)).argsort(axis=1).argsort(axis=1)
    kept = np.sort(np.where(rank < left[:, None], np.arange(width), width), axis=1)
    there = kept < width
    kept = np.where(there, kept, 0)
    inputs = np.where(there[..., None], np.take_along_axis(steps, kept[..., None], axis=1), 0)
    moments = np.where(there, np.take_along_axis(times, kept, axis=1), 0)
    dt = np.where(there, np.diff(moments, axis=1, prepend=0), 0)
    longest = int(left.max())
    return Samples(inputs, dt.astype(np.float32), left, labels).take(slice(None), longest)
