"""Event-based XOR: the parity of a random stream of bits of which only changes are told.

Lechner and Hasani, "Learning long-term dependencies in irregularly-sampled time series", 2020, and
Hasani et al., "Closed-form continuous-time neural networks", 2022: a bit is sampled where it
differs from the one before, and at the end of the stream; the time between two samples is the
number of bits from one to the other. To count the ones in between, a network has to know it. The
label is 1 for an odd number of ones. A stream's length is drawn from the numbers up to the longest.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from lnn_nav.learn.sequences.samples import Samples

SHORTEST = 2
"""Bits of the shortest stream."""


def draw_bits(
    count: int, longest: int, rng: np.random.Generator, shortest: int = SHORTEST
) -> tuple[Int[np.ndarray, "n bits"], Int[np.ndarray, " n"]]:
    """Random streams of random lengths: bits (zero behind the end), and lengths.

    Raises:
        ValueError: if there is to be no stream, or none of such a length.
    """
    if count < 1:
        raise ValueError(f"samples: expected 1 or more, got {count}")
    if not 1 <= shortest <= longest:
        raise ValueError(f"bits: expected {shortest} or more, and 1 or more, got {longest}")
    lengths = rng.integers(shortest, longest + 1, count, dtype=np.int32)
    bits = rng.integers(0, 2, (count, longest), dtype=np.int32)
    return bits * (np.arange(longest) < lengths[:, None]), lengths


def parity(bits: Int[np.ndarray, "n bits"]) -> Int[np.ndarray, " n"]:
    """1 for an odd number of ones."""
    return np.bitwise_xor.reduce(bits, axis=1)


def as_events(bits: Int[np.ndarray, "n bits"], lengths: Int[np.ndarray, " n"]) -> Samples:
    """Only what changes, and the end: value, and bits since the last event."""
    count, longest = bits.shape
    place = np.arange(longest)
    changed = np.diff(bits, axis=1, prepend=-1) != 0
    told = (changed | (place == lengths[:, None] - 1)) & (place < lengths[:, None])
    row, at = np.nonzero(told)
    slot = (np.cumsum(told, axis=1) - 1)[row, at]
    times, values = np.zeros((count, longest)), np.zeros((count, longest, 1), np.float32)
    times[row, slot], values[row, slot, 0] = at + 1, bits[row, at]
    events = told.sum(axis=1).astype(np.int32)
    dt = np.diff(times, axis=1, prepend=0) * (place < events[:, None])
    return Samples(values, dt.astype(np.float32), events, parity(bits))


def as_steps(bits: Int[np.ndarray, "n bits"], lengths: Int[np.ndarray, " n"]) -> Samples:
    """Every bit, one after the other."""
    dt = (np.arange(bits.shape[1]) < lengths[:, None]).astype(np.float32)
    return Samples(bits[..., None].astype(np.float32), dt, lengths, parity(bits))


def bits_of(
    events: Samples, longest: int
) -> tuple[Int[np.ndarray, "n bits"], Int[np.ndarray, " n"]]:
    """The inverse of `as_events`: bits and lengths."""
    times = np.rint(np.cumsum(events.dt, axis=1)).astype(np.int64)
    lengths = times[np.arange(len(events)), events.lengths - 1]
    # A bit is what the last event at or before it told.
    place = np.arange(1, longest + 1)
    told = np.arange(times.shape[1]) < events.lengths[:, None]
    which = ((times[:, None] <= place[:, None]) & told[:, None]).sum(axis=2) - 1
    bits = np.take_along_axis(events.inputs[..., 0], which, axis=1).astype(np.int32)
    return bits * (place <= lengths[:, None]), lengths.astype(np.int32)


def draw_events(
    count: int, longest: int, rng: np.random.Generator, shortest: int = SHORTEST
) -> Samples:
    """Random streams as events; see `draw_bits`."""
    return as_events(*draw_bits(count, longest, rng, shortest))
