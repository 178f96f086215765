"""Barriers of systems that move in steps, x_{k+1} = F(x_k, u_k).

The condition h(F(x, u)) >= (1 - alpha) h(x) keeps h >= 0 for ever: Agrawal and Sreenath, RSS 2017.
Where the control shows only after r steps, a chain as in continuous time takes it there:
Xiong, Zhai, Tavakoli and Xia, IEEE Transactions on Cybernetics 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.chain import MovingFunction, height_of
from barriernet.degree import loud
from barriernet.discrete_system import DiscreteSystem
from barriernet.errors import ModelError
from barriernet.limits import Limits


@dataclass(frozen=True)
class DiscreteBarrier:
    """The set h(x) >= 0, to be kept invariant from step to step.

    With psi_0 = h and psi_i(x_k) = psi_{i-1}(x_{k+1}) - (1 - alpha_i) psi_{i-1}(x_k), the condition
    is psi_r >= 0, where phi(u) = psi_{r-1}(F(x, u)) is the first to depend on the control. phi is
    replaced by its tangent at the wish, minus a bound of what the tangent leaves out:

    - phi affine in u (h linear along u, F affine in u): the row is exact;
    - phi convex along u (say h = |p - c|^2 - r^2 and F affine): phi lies above its tangent, so the
      row is sufficient, and exact at the wish;
    - otherwise with `concavity` M: phi(u) >= tangent - M/2 |u - wish|^2, and the row gives up
      M/2 times the squared distance from the wish to the farthest corner of the limits.

    Attributes:
        h: from a state, or a state and a time [s], to a scalar.
        relative_degree: r, after how many steps the control shows in h.
        decays: alpha_1 ... alpha_r in (0, 1]: which part of psi may be lost in one step; one half
            each by default. They are the barrier's gains in `join_barriers` and `BarrierNet`;
            those above 1 count as 1 there.
        concavity: M >= 0, bound over the limits of the largest eigenvalue of -d^2 phi / du^2.
        time_varying: whether h takes a time.
    """

    h: Callable[..., Array]
    relative_degree: int = 1
    decays: tuple[float, ...] | None = None
    _: KW_ONLY
    concavity: float = 0.0
    time_varying: bool = False

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ModelError: a number is out of its range, or the decays are not `relative_degree` many.
        """
        if self.relative_degree < 1:
            raise ModelError(f"relative_degree: expected at least 1, got {self.relative_degree}")
        decays = self.own_gains
        if len(decays) != self.relative_degree or not all(0 < decay <= 1 for decay in decays):
            raise ModelError(
                f"decays: expected {self.relative_degree} numbers in (0, 1], got {self.decays}"
            )
        if not 0 <= self.concavity < float("inf"):
            raise ModelError(f"concavity: expected a finite number >= 0, got {self.concavity}")

    @property
    def gain_count(self) -> int:
        """How many decays it takes."""
        return self.relative_degree

    @property
    def own_gains(self) -> tuple[float, ...]:
        """The decays of a call that brings none."""
        return (0.5,) * self.relative_degree if self.decays is None else self.decays

    def on(self, system: object) -> DiscreteBarrier:
        """Itself.

        Raises:
            ModelError: the system does not move in steps.
        """
        if not isinstance(system, DiscreteSystem):
            raise ModelError(f"system: expected a DiscreteSystem, got {type(system).__name__}")
        return self

    def values(
        self,
        system: DiscreteSystem,
        state: Float[FloatArray, " states"],
        gains: Float[FloatArray, " r"] | None = None,
        time: Float[FloatArray, ""] | float = 0.0,
    ) -> Float[Array, " r"]:
        """psi_0 ... psi_{r-1}: where all are >= 0, keeping the row keeps h >= 0 for ever."""
        x, t, decays = self._at(system, state, gains, time)
        return jnp.stack([psi(x, t) for psi in self._chain(system, decays)])

    def rows(
        self,
        system: DiscreteSystem,
        state: Float[FloatArray, " states"],
        gains: Float[FloatArray, " r"] | None = None,
        time: Float[FloatArray, ""] | float = 0.0,
        *,
        wish: Float[FloatArray, " controls"] | None = None,
        limits: Limits | None = None,
    ) -> tuple[Float[Array, "1 controls"], Float[Array, " 1"]]:
        """The row A u >= b that keeps the set in the next step.

        Args:
            system: whose steps they are.
            state: where it is.
            gains: alpha_1 ... alpha_r of this state, instead of the barrier's own.
            time: when [s], for a barrier that moves.
            wish: where the tangent is taken, inside the limits; zero by default.
            limits: of the control; needed, and finite, where `concavity` is not zero.

        Returns:
            A `[1, controls]` and b `[1]`; NaN where the control shows earlier than
            `relative_degree` says.

        Raises:
            ModelError: there are not `relative_degree` decays, or limits are needed and missing.
        """
        x, t, decays = self._at(system, state, gains, time)
        if self.concavity > 0 and limits is None:
            raise ModelError("limits: expected to be given, since the barrier has a concavity")
        at = jnp.zeros(system.controls, x.dtype) if wish is None else jnp.asarray(wish, x.dtype)
        *early, last = self._chain(system, decays)
        remainder = jnp.zeros_like(t)
        if limits is not None:
            box = limits.within(x.dtype)
            at = box.clip(at)
            if self.concavity > 0:
                far = jnp.maximum(box.upper - at, at - box.lower)
                remainder = self.concavity / 2 * (far @ far)
        value, slope = jax.value_and_grad(lambda u: last(system.next(x, u), t + system.period))(at)
        b = (1 - decays[-1]) * last(x, t) - value + slope @ at + remainder
        for psi in early:
            b = jnp.where(_shows(system, psi, x, t, at), jnp.nan, b)
        return slope[None, :], b[None]

    def _chain(self, system: DiscreteSystem, decays: Array) -> tuple[MovingFunction, ...]:
        """psi_0 ... psi_{r-1}; no control is in them, so any will do for their steps."""
        functions = [height_of(self.h, self.time_varying)]
        for i in range(self.relative_degree - 1):
            functions.append(_next_in_chain(system, functions[-1], decays[i]))
        return tuple(functions)

    def _at(
        self,
        system: DiscreteSystem,
        state: Float[FloatArray, " states"],
        gains: Float[FloatArray, " r"] | None,
        time: Float[FloatArray, ""] | float,
    ) -> tuple[Array, Array, Array]:
        """State, time and decays in one dtype."""
        self.on(system)
        x = jnp.asarray(state)
        decays = jnp.asarray(self.own_gains if gains is None else gains, x.dtype)
        if decays.shape != (self.relative_degree,):
            raise ModelError(f"gains: expected {self.relative_degree} values, got {decays.shape}")
        return x, jnp.asarray(time, x.dtype), jnp.minimum(decays, 1)


def _next_in_chain(system: DiscreteSystem, psi: MovingFunction, decay: Array) -> MovingFunction:
    def following(state: Array, time: Array) -> Array:
        onward = system.next(state, jnp.zeros(system.controls, state.dtype))
        return psi(onward, time + system.period) - (1 - decay) * psi(state, time)

    return following


def _shows(
    system: DiscreteSystem, psi: MovingFunction, state: Array, time: Array, at: Array
) -> Array:
    """Whether the control shows in a function of the next state, by more than rounding."""
    onward, back = jax.vjp(lambda u: system.next(state, u), at)
    slope = jax.grad(psi)(onward, time + system.period)
    most = jnp.max(jnp.abs(slope)) * jnp.max(jnp.abs(jax.jacobian(system.next, 1)(state, at)))
    return jnp.max(jnp.abs(back(slope)[0])) > loud(state.dtype) * most
