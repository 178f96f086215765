"""What every solver looks like to the bench."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from barriernet.verify.problems import Problems

Foreign = Any
"""An object of a library that need not be installed."""
FLOAT64_ONLY = "computes in float64 only"
NO_GRADIENT = "has no gradient"


def needed(name: str) -> Foreign:
    """A module of a library.

    Raises:
        ImportError: it is not installed.
    """
    return importlib.import_module(name)


@dataclass(frozen=True)
class Answers:
    """What one call answered, as numpy arrays.

    Attributes:
        x: `[B n]`.
        unconverged: how many answers the solver itself calls unsolved; None where it does not say.
        gradients: of sum(x^2) with respect to P, q, A, b, each `[B ...]`; None for a forward call.
    """

    x: np.ndarray
    unconverged: int | None
    gradients: tuple[np.ndarray, ...] | None = None


class Peer(ABC):
    """A solver: problems are loaded first, then answered under the clock, then read.

    The forward call answers a batch; forward and backward also gives the gradient of
    sum(x^2) with respect to P, q, A and b of every problem, as a layer in a network has to.
    A differentiable peer is timed from those four (it builds its own form of the problem within
    the call), the others from the form that they want, built beforehand.
    """

    name: str
    """What it is called in the table."""
    refuses_float32: str | None = None
    """Why there are no float32 figures, if there are none."""
    refuses_gradient: str | None = None
    """Why there are no gradients, if there are none."""
    apart: bool = False
    """Whether it needs a process of its own."""
    note: str = ""
    """What a reader of its figures should know."""

    @abstractmethod
    def start(self) -> None:
        """Import the library.

        Raises:
            ImportError: it is not installed.
        """

    @abstractmethod
    def load(self, problems: Problems, single: bool) -> Foreign:
        """Arrays as the solver wants them; with `single` each problem is answered by itself."""

    @abstractmethod
    def forward(self, inputs: Foreign) -> Foreign:
        """Answer all problems, and wait for the answers."""

    def forward_backward(self, inputs: Foreign) -> Foreign:
        """Answer all problems with gradients, and wait for them.

        Raises:
            RuntimeError: it has none.
        """
        raise RuntimeError(f"{self.name} {self.refuses_gradient}")

    @abstractmethod
    def read(self, result: Foreign) -> Answers:
        """What a call answered."""

    def inside_jit(self, problems: Problems) -> Foreign:
        """A call that answers one problem after the other within one compiled program, or None."""
        del problems
        return None
