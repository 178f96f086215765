"""The one protocol of every recurrent cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

from jax import Array
from jaxtyping import Float

Step: TypeAlias = Callable[[Array, Array], tuple[Array, Array]]
"""(memory, input) -> (memory, output), the time between inputs being known."""


@runtime_checkable
class Cell(Protocol):
    """A recurrent cell in continuous time.

    Attributes:
        inputs: number of input features.
        outputs: number of output features.
        memory_size: number of memory features.
    """

    inputs: int
    outputs: int
    memory_size: int

    def __call__(
        self, memory: Float[Array, "*batch m"], inputs: Float[Array, "*batch i"], dt: Array | float
    ) -> tuple[Float[Array, "*batch m"], Float[Array, "*batch o"]]:
        """Advance by `dt` [s] under `inputs`.

        Args:
            memory: hidden state, zeros at the start of a sequence.
            inputs: features at the end of the interval.
            dt: time since the last input [s]: a scalar, or one value a batch element.

        Returns:
            The new memory and the output.
        """
        ...


@runtime_checkable
class Paced(Protocol):
    """A cell that can work out beforehand what all steps at one pace share."""

    def at_pace(self, dt: Float[Array, ""]) -> Step:
        """The step for batches in which `dt` [s] is the same for all; equal up to rounding."""
        ...
