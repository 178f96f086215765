"""Random numbers that are the same on every machine, for ever.

Drawn from the bits of PCG64, whose stream numpy promises never to change (the methods of its
`Generator` carry no such promise), and rounded to 0.1 mm, which swallows the last bit in which
the mathematical libraries of two machines may differ.
"""

from __future__ import annotations

import math
import zlib

import numpy as np


class Draws:
    """A stream of random numbers, set by a name and whole numbers."""

    def __init__(self, name: str, *numbers: int) -> None:
        """Start the stream of `name` and `numbers`."""
        # crc32, not hash(): Python's own differs from run to run.
        self._bits = np.random.PCG64(np.random.SeedSequence([zlib.crc32(name.encode()), *numbers]))

    def fraction(self) -> float:
        """Uniform in [0, 1)."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        """Uniform in [low, high], a multiple of 1e-4."""
        return tidy(low + (high - low) * self.fraction())

    def angle(self) -> float:
        """Any direction in the plane [rad]."""
        return self.uniform(-math.pi, math.pi)

    def pick(self, count: int) -> int:
        """One of 0 ... count - 1."""
        return int(self.fraction() * count)


def tidy(value: float) -> float:
    """The nearest multiple of 1e-4."""
    return round(value, 4)
