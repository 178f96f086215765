"""Barriers h(x) >= 0 and the rows they put on the control, by automatic differentiation.

High-order control barrier functions: Xiao and Belta, IEEE CDC 2019 and TAC 2022. With gains that a
network chooses at every state they are the layer of Xiao, Wang, Hasani, Chahine, Amini, Li and
Rus, "BarrierNet", IEEE T-RO 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.system import ControlAffineSystem, ModelError, StateFunction


@dataclass(frozen=True)
class Barrier:
    """The set h(x) >= 0, to be kept invariant.

    With psi_0 = h and psi_i = d/dt psi_{i-1} + p_i psi_{i-1}, a control that keeps
    psi_r >= 0, for the relative degree r, keeps h >= 0 from every state with psi_0 ... psi_{r-1}
    >= 0. psi_r is affine in the control: that is the row.

    Attributes:
        h: from a state to a scalar that jax can differentiate `relative_degree` times.
        relative_degree: how often h must be differentiated along the motion until the control
            shows; `find_relative_degree` finds it.
        gains: p_1 ... p_r > 0 [1/s], the class-K functions' slopes; one each by default.
    """

    h: StateFunction
    relative_degree: int = 1
    gains: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ModelError: the relative degree is not positive, or the gains are not that many
                positive finite numbers.
        """
        if self.relative_degree < 1:
            raise ModelError(f"relative_degree: expected at least 1, got {self.relative_degree}")
        gains = self.own_gains
        if len(gains) != self.relative_degree:
            raise ModelError(f"gains: expected {self.relative_degree} numbers, got {self.gains}")
        if not all(0 < gain < float("inf") for gain in gains):
            raise ModelError(f"gains: expected positive finite numbers, got {self.gains}")

    @property
    def own_gains(self) -> tuple[float, ...]:
        """The gains of a call that brings none."""
        return (1.0,) * self.relative_degree if self.gains is None else self.gains

    def chain(
        self, system: ControlAffineSystem, gains: Float[Array, " r"]
    ) -> tuple[StateFunction, ...]:
        """psi_0 ... psi_{r-1} as functions of the state, with these gains held constant."""
        functions = [self.h]
        for i in range(self.relative_degree - 1):
            functions.append(_next_in_chain(functions[-1], system.drift, gains[i]))
        return tuple(functions)

    def rows(
        self,
        system: ControlAffineSystem,
        state: Float[Array, " states"],
        gains: Float[FloatArray, " r"] | None = None,
    ) -> tuple[Float[Array, "1 controls"], Float[Array, " 1"]]:
        """The row A u >= b that keeps the set invariant at this state.

        Args:
            system: whose motion it is.
            state: where it is.
            gains: p_1 ... p_r of this state, instead of the barrier's own. They must be positive
                (see `positive`). Their own change in time is left out, as in BarrierNet.

        Returns:
            A `[1, controls]` and b `[1]`.

        Raises:
            ModelError: there are not `relative_degree` gains.
        """
        values = jnp.asarray(self.own_gains if gains is None else gains, state.dtype)
        if values.shape != (self.relative_degree,):
            raise ModelError(f"gains: expected {self.relative_degree} values, got {values.shape}")
        last, along = jax.linearize(self.chain(system, values)[-1], state)
        A = jax.vmap(along, in_axes=1)(system.control_matrix(state))
        b = -(along(system.drift(state)) + values[-1] * last)
        return A[None, :], b[None]


def _next_in_chain(function: StateFunction, drift: StateFunction, gain: Array) -> StateFunction:
    def following(state: Array) -> Array:
        value, rate = jax.jvp(function, (state,), (drift(state),))
        return rate + gain * value

    return following


def join_barriers(
    system: ControlAffineSystem,
    barriers: Sequence[Barrier],
    state: Float[Array, " states"],
    gains: Float[FloatArray, " total"] | None = None,
) -> tuple[Float[Array, "K controls"], Float[Array, " K"]]:
    """The rows of many barriers, one each.

    Args:
        system: whose motion it is.
        barriers: any number, none included.
        state: where it is.
        gains: all barriers' gains one after the other, `[sum of relative degrees]`, instead of
            their own.

    Returns:
        A `[K, controls]` and b `[K]`.

    Raises:
        ModelError: the number of gains does not fit.
    """
    total = sum(barrier.relative_degree for barrier in barriers)
    if gains is not None and gains.shape != (total,):
        raise ModelError(f"gains: expected {total} values, got shape {gains.shape}")
    A = [jnp.zeros((0, system.controls), state.dtype)]
    b = [jnp.zeros(0, state.dtype)]
    used = 0
    for barrier in barriers:
        own = None if gains is None else gains[used : used + barrier.relative_degree]
        used += barrier.relative_degree
        row, side = barrier.rows(system, state, own)
        A.append(row)
        b.append(side)
    return jnp.concatenate(A), jnp.concatenate(b)


def find_relative_degree(
    system: ControlAffineSystem,
    h: StateFunction,
    sample_states: Float[Array, "samples states"],
    largest: int = 4,
) -> int:
    """How often h must be differentiated along the motion until the control shows.

    Args:
        system: whose motion it is.
        h: from a state to a scalar.
        sample_states: states to look at; the control has to show at one of them.
        largest: where to give up.

    Returns:
        The relative degree.

    Raises:
        ModelError: the control never shows, or a derivative at a sample is not finite.
    """
    tolerance = 1e3 * float(jnp.finfo(sample_states.dtype).eps)
    function = h
    for degree in range(1, largest + 1):
        shows = jax.jit(jax.vmap(_control_share(system, function)))(sample_states)
        if not bool(jnp.all(jnp.isfinite(shows))):
            raise ModelError("h: expected finite derivatives at every sample, got NaN or infinity")
        if bool(jnp.any(shows > tolerance)):
            return degree
        function = _next_in_chain(function, system.drift, jnp.zeros((), sample_states.dtype))
    raise ModelError(f"h: expected the control to show within {largest} derivatives, got none")


def _control_share(system: ControlAffineSystem, function: StateFunction) -> Callable:
    """How much of a function's gradient the control can use, from 0 to 1."""

    def share(state: Array) -> Array:
        slope, channels = jax.grad(function)(state), system.control_matrix(state)
        most = jnp.max(jnp.abs(slope)) * jnp.max(jnp.abs(channels))
        return jnp.max(jnp.abs(slope @ channels)) / jnp.where(most == 0, 1, most)

    return share


def positive(raw: Float[Array, "*shape"], least: float = 1e-3) -> Float[Array, "*shape"]:
    """Gains from any real numbers: softplus, never below `least` [1/s]."""
    return jax.nn.softplus(raw) + jnp.asarray(least, raw.dtype)
