"""The one protocol of every recurrent cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax.core
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

Step: TypeAlias = Callable[[Array, Array], tuple[Array, Array]]
"""(memory, input) -> (memory, output), the time between inputs being known."""


class Pace(NamedTuple):
    """What a cell can do for batches whose steps all take the same time.

    Attributes:
        step: one of them.
        run: all of them, where there is a quicker way than one by one: (memory `[B, m]`, inputs
            `[B, T, i]`) -> (last memory, outputs `[B, T, o]`).
    """

    step: Step
    run: Step | None = None


class CellError(ValueError):
    """What was given does not fit the cell."""


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

        Raises:
            CellError: a shape does not fit, or outside `jit` a time is negative or not finite.
        """
        ...


@runtime_checkable
class Paced(Protocol):
    """A cell that can work out beforehand what all steps at one pace share."""

    def at_pace(self, dt: Float[Array, ""]) -> Pace:
        """Steps for batches in which `dt` [s] is the same for all; equal up to rounding."""
        ...


def check_step(cell: Cell, memory: Array, inputs: Array, dt: Array | float) -> None:
    """Refuse what does not fit a cell; costs nothing once compiled.

    Raises:
        CellError: it does not; the message names what was expected and what came.
    """
    for name, array, size in (
        ("memory", memory, cell.memory_size),
        ("inputs", inputs, cell.inputs),
    ):
        if jnp.shape(array)[-1:] != (size,):
            raise CellError(f"{name}: expected [*batch, {size}], got {jnp.shape(array)}")
    batch = jnp.shape(memory)[:-1]
    if jnp.shape(inputs)[:-1] != batch:
        raise CellError(f"inputs: expected {(*batch, cell.inputs)}, got {jnp.shape(inputs)}")
    if jnp.shape(dt) not in ((), batch):
        raise CellError(f"dt: expected a number or {batch}, got shape {jnp.shape(dt)}")
    check_times(dt)


def check_times(dt: Array | np.ndarray | float) -> None:
    """Refuse times that cannot be, where they are known.

    Raises:
        CellError: one is negative or not finite.
    """
    if isinstance(dt, jax.core.Tracer):
        return
    # By numpy: under jit, jax would make even of known numbers some that are not.
    known = np.asarray(dt)
    worst = known[~(np.isfinite(known) & (known >= 0))]
    if worst.size:
        raise CellError(f"dt: expected finite times >= 0, got {worst.ravel()[0]}")
