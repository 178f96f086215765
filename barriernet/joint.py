"""Many constraints at once: all their rows, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.errors import ModelError
from barriernet.limits import Limits


@runtime_checkable
class System(Protocol):
    """What a layer asks of a system."""

    @property
    def states(self) -> int:
        """Length of the state."""
        ...

    @property
    def controls(self) -> int:
        """Length of the control."""
        ...


@runtime_checkable
class BarrierLike(Protocol):
    """What turns into a `Constraint` once the system is known: `Barrier`, `DiscreteBarrier`."""

    def on(self, system: Any) -> Constraint:  # noqa: ANN401 - each kind has its kind of system
        """The constraint made ready for a system."""
        ...


@runtime_checkable
class Constraint(BarrierLike, Protocol):
    """What puts one row on the control: a barrier that is ready, or a user's own."""

    @property
    def gain_count(self) -> int:
        """How many gains it takes."""
        ...

    @property
    def own_gains(self) -> tuple[float, ...]:
        """The gains of a call that brings none."""
        ...

    def values(
        self,
        system: Any,  # noqa: ANN401
        state: Float[FloatArray, " states"],
        gains: Float[FloatArray, " r"] | None = None,
        time: Float[FloatArray, ""] | float = 0.0,
    ) -> Float[Array, " r"]:
        """Its chain: where all are >= 0, keeping the row keeps it for ever."""
        ...

    def rows(
        self,
        system: Any,  # noqa: ANN401
        state: Float[FloatArray, " states"],
        gains: Float[FloatArray, " r"] | None = None,
        time: Float[FloatArray, ""] | float = 0.0,
        *,
        wish: Float[FloatArray, " controls"] | None = None,
        limits: Limits | None = None,
    ) -> tuple[Float[Array, "1 controls"], Float[Array, " 1"]]:
        """The row A u >= b at a state."""
        ...


def join_barriers(
    system: System,
    barriers: Sequence[BarrierLike],
    state: Float[FloatArray, " states"],
    gains: Float[FloatArray, " total"] | None = None,
    time: Float[FloatArray, ""] | float = 0.0,
    *,
    wish: Float[FloatArray, " controls"] | None = None,
    limits: Limits | None = None,
) -> tuple[Float[Array, "K controls"], Float[Array, " K"]]:
    """The rows of many barriers, one each.

    Args:
        system: whose motion it is.
        barriers: any number, none included.
        state: where it is.
        gains: all barriers' gains one after the other, `[sum of relative degrees]`, instead of
            their own.
        time: when [s], for barriers that move.
        wish: where constraints that are not affine in the control are linearised.
        limits: of the control, inside which their remainder is bounded.

    Returns:
        A `[K, controls]` and b `[K]`.

    Raises:
        ModelError: the number of gains does not fit, or a barrier does not fit the system.
    """
    x = jnp.asarray(state)
    ready = [barrier.on(system) for barrier in barriers]
    A, b = [jnp.zeros((0, system.controls), x.dtype)], [jnp.zeros(0, x.dtype)]
    for barrier, own in zip(ready, _shared_out(ready, gains), strict=True):
        row, side = barrier.rows(system, x, own, time, wish=wish, limits=limits)
        A.append(row)
        b.append(side)
    return jnp.concatenate(A), jnp.concatenate(b)


def chain_values(
    system: System,
    barriers: Sequence[BarrierLike],
    state: Float[FloatArray, " states"],
    gains: Float[FloatArray, " total"] | None = None,
    time: Float[FloatArray, ""] | float = 0.0,
) -> Float[Array, " total"]:
    """psi_0 ... psi_{r-1} of every barrier, one after the other.

    The promise of the rows, h >= 0 for ever, starts at states where all of them are >= 0. Arguments
    and errors as of `join_barriers`.
    """
    x = jnp.asarray(state)
    ready = [barrier.on(system) for barrier in barriers]
    parts = [
        barrier.values(system, x, own, time)
        for barrier, own in zip(ready, _shared_out(ready, gains), strict=True)
    ]
    return jnp.concatenate([jnp.zeros(0, x.dtype), *parts])


def _shared_out(
    barriers: Sequence[Constraint], gains: FloatArray | None
) -> list[FloatArray | None]:
    """To each barrier its gains."""
    if gains is None:
        return [None] * len(barriers)
    total = sum(barrier.gain_count for barrier in barriers)
    if gains.shape != (total,):
        raise ModelError(f"gains: expected {total} values, got shape {gains.shape}")
    shares, used = [], 0
    for barrier in barriers:
        shares.append(gains[used : used + barrier.gain_count])
        used += barrier.gain_count
    return shares
