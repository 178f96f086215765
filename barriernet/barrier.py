"""Barriers h(x) >= 0 and the rows they put on the control, by automatic differentiation.

High-order control barrier functions: Xiao and Belta, IEEE CDC 2019 and TAC 2022. With gains that a
network chooses at every state they are the layer of Xiao, Wang, Hasani, Chahine, Amini, Li and
Rus, "BarrierNet", IEEE T-RO 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.chain import MovingFunction, chain_of, control_share, end_of, height_of
from barriernet.degree import find_relative_degree, loud
from barriernet.errors import ModelError
from barriernet.limits import Limits
from barriernet.sampled import SampledData
from barriernet.system import ControlAffineSystem


@dataclass(frozen=True)
class Barrier:
    """The set h(x) >= 0, or h(x, t) >= 0 for one that moves, to be kept invariant.

    With psi_0 = h and psi_i = d/dt psi_{i-1} + p_i psi_{i-1}, a control that keeps
    psi_r >= 0, for the relative degree r, keeps h >= 0 from every state with psi_0 ... psi_{r-1}
    >= 0 (`values` tells). psi_r is affine in the control: that is the row.

    The chain takes for granted that the control does not show before its last step. Where it does,
    by more than rounding, the row is NaN, and a layer ends in its fallback and says so. Where it
    does not show at the last step either, the row is zero: met, or impossible, which a layer says
    too.

    Attributes:
        h: from a state `[states]`, or from a state and a time [s], to a scalar that jax can
            differentiate `relative_degree` times.
        relative_degree: how often h must be differentiated along the motion until the control
            shows; found by `on`, which `rows` and `BarrierNet` call, where it is not given.
        gains: p_1 ... p_r > 0 [1/s], the class-K functions' slopes; one each by default.
        time_varying: whether h takes a time. Its partial derivative enters every step.
        sampled: how long a control is held, for rows that hold between the samples too. The last
            gain then counts as 1 / period where it is larger.
    """

    h: Callable[..., Array]
    relative_degree: int | None = None
    gains: tuple[float, ...] | None = None
    _: KW_ONLY
    time_varying: bool = False
    sampled: SampledData | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ModelError: the relative degree is not positive, or the gains are not that many
                positive finite numbers.
        """
        degree, gains = self.relative_degree, self.gains
        if degree is not None and degree < 1:
            raise ModelError(f"relative_degree: expected at least 1, got {degree}")
        if gains is None:
            return
        if not gains or not all(0 < gain < float("inf") for gain in gains):
            raise ModelError(f"gains: expected positive finite numbers, got {gains}")
        if degree is not None and len(gains) != degree:
            raise ModelError(f"gains: expected {degree} numbers, got {gains}")

    @property
    def gain_count(self) -> int:
        """The relative degree: how many gains the chain has.

        Raises:
            ModelError: it is still to be found, see `on`.
        """
        if self.relative_degree is None:
            raise ModelError("relative_degree: expected to be given, or found by Barrier.on")
        return self.relative_degree

    @property
    def own_gains(self) -> tuple[float, ...]:
        """The gains of a call that brings none."""
        return (1.0,) * self.gain_count if self.gains is None else self.gains

    def on(self, system: object) -> Barrier:
        """This barrier with its relative degree, found if it was not given.

        Raises:
            ModelError: the system is not control-affine, the degree cannot be found (see
                `find_relative_degree`), or the gains are not that many.
        """
        if not isinstance(system, ControlAffineSystem):
            raise ModelError(f"system: expected ControlAffineSystem, got {type(system).__name__}")
        if self.relative_degree is not None:
            return self
        degree = find_relative_degree(system, self.h, time_varying=self.time_varying)
        return replace(self, relative_degree=degree)

    def chain(
        self, system: ControlAffineSystem, gains: Float[FloatArray, " r"]
    ) -> tuple[MovingFunction, ...]:
        """psi_0 ... psi_{r-1} as functions of state and time, with these gains held constant."""
        first = height_of(self.h, self.time_varying)
        return chain_of(system, first, gains[: self.gain_count - 1])

    def values(
        self,
        system: ControlAffineSystem,
        state: Float[FloatArray, " states"],
        gains: Float[FloatArray, " r"] | None = None,
        time: Float[FloatArray, ""] | float = 0.0,
    ) -> Float[Array, " r"]:
        """psi_0 ... psi_{r-1}: where all are >= 0, keeping the row keeps h >= 0 for ever.

        Arguments and errors as of `rows`.
        """
        barrier, x, t, p = self._at(system, state, gains, time)
        return jnp.stack([function(x, t) for function in barrier.chain(system, p)])

    def rows(
        self,
        system: ControlAffineSystem,
        state: Float[FloatArray, " states"],
        gains: Float[FloatArray, " r"] | None = None,
        time: Float[FloatArray, ""] | float = 0.0,
        *,
        wish: Float[FloatArray, " controls"] | None = None,
        limits: Limits | None = None,
    ) -> tuple[Float[Array, "1 controls"], Float[Array, " 1"]]:
        """The row A u >= b that keeps the set invariant at this state.

        Args:
            system: whose motion it is.
            state: where it is.
            gains: p_1 ... p_r of this state, instead of the barrier's own. They must be positive
                (see `positive`). Their own change in time is left out, as in BarrierNet.
            time: when [s], for a barrier that moves.
            wish: not looked at; for constraints that are linearised (see `join_barriers`).
            limits: not looked at either.

        Returns:
            A `[1, controls]` and b `[1]`.

        Raises:
            ModelError: there are not `relative_degree` gains, or the degree cannot be found.
        """
        del wish, limits
        barrier, x, t, p = self._at(system, state, gains, time)
        *early, last = barrier.chain(system, p)
        end = end_of(system, last, x, t)
        gain, reserve = p[-1], jnp.zeros_like(t)
        if self.sampled is not None:
            gain, reserve = jnp.minimum(gain, 1 / self.sampled.period), self.sampled.reserve(x)
        b = reserve - (end.rate + gain * end.value)
        for function in early:
            shows = control_share(system, function, x, t) > loud(x.dtype)
            b = jnp.where(shows, jnp.nan, b)
        return end.A[None, :], b[None]

    def _at(
        self,
        system: ControlAffineSystem,
        state: Float[FloatArray, " states"],
        gains: Float[FloatArray, " r"] | None,
        time: Float[FloatArray, ""] | float,
    ) -> tuple[Barrier, Array, Array, Array]:
        """Barrier of known degree, state, time and gains, in one dtype."""
        barrier, x = self.on(system), jnp.asarray(state)
        p = jnp.asarray(barrier.own_gains if gains is None else gains, x.dtype)
        if p.shape != (barrier.gain_count,):
            raise ModelError(f"gains: expected {barrier.gain_count} values, got {p.shape}")
        return barrier, x, jnp.asarray(time, x.dtype), p
