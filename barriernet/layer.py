"""The safety layer: a wish goes in; the nearest control that meets every row comes out.

It is differentiable with respect to everything that is a number, and any fault ends in a fallback
that is inside the limits: never in NaN, and never in the wish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.certificate import Certificate
from barriernet.errors import ModelError
from barriernet.filter import filter_control as filter_control
from barriernet.gains import LearnableGains
from barriernet.joint import BarrierLike, System
from barriernet.limits import Limits
from barriernet.pure import safe_control


class BarrierNet(nnx.Module):
    """Barriers of one system as a layer over any policy.

    Gains come from the barriers, from a module that the layer holds (whose parameters are then its
    own), or with every call (`barriernet.positive` of a network's outputs); derivatives flow back
    to all of them, and to the wish. Put calls under `jax.jit`: outside it every barrier is
    differentiated anew.

    Attributes:
        system: whose controls are filtered.
        barriers: the barriers, their relative degrees found.
        limits: of the control.
        weight: price of squared slack of the rows.
        cost: what "nearest" means, or None.
        gains: the module that gives the gains, or None.
    """

    def __init__(
        self,
        system: System,
        barriers: Sequence[BarrierLike],
        limits: Limits,
        *,
        weight: float | Float[FloatArray, " K"] | Float[FloatArray, ""] = float("inf"),
        cost: Float[FloatArray, "controls controls"] | None = None,
        gains: Callable[..., Array] | bool = False,
    ) -> None:
        """Join a system, its barriers and its limits.

        Args:
            system: whose controls are filtered.
            barriers: any number of them.
            limits: of the control, `[controls]`.
            weight: price of squared slack of the rows, see `filter_control`.
            cost: what "nearest" means, see `filter_control`.
            gains: True for gains that are parameters, started at the barriers' own; or what gives
                positive gains `[*batch, total]` for observations `[*batch, size]`: a
                `GainNetwork`, or any other module or function.

        Raises:
            ModelError: a shape does not fit the system, or a relative degree cannot be found.
        """
        size = system.controls
        if limits.lower.shape != (size,) or limits.upper.shape != (size,):
            raise ModelError(f"limits: expected shape ({size},), got {limits.lower.shape}")
        if jnp.shape(weight) not in ((), (len(barriers),)):
            raise ModelError(f"weight: expected ({len(barriers)},), got {jnp.shape(weight)}")
        if cost is not None and jnp.shape(cost) != (size, size):
            raise ModelError(f"cost: expected shape {(size, size)}, got {jnp.shape(cost)}")
        self.system = nnx.static(system)
        self.barriers = nnx.static(tuple(barrier.on(system) for barrier in barriers))
        self.limits = nnx.data(limits)
        # A plain number stays out of the layer's arrays, so that it is the same in every dtype.
        plain = isinstance(weight, int | float)
        self.weight = float(weight) if plain else nnx.data(jnp.asarray(weight))
        self.cost = None if cost is None else nnx.data(jnp.asarray(cost))
        own = tuple(gain for barrier in self.barriers for gain in barrier.own_gains)
        self.gains = LearnableGains(own) if gains is True else gains or None

    @property
    def gain_count(self) -> int:
        """How many gains a network has to give."""
        return sum(barrier.gain_count for barrier in self.barriers)

    def __call__(
        self,
        state: Float[FloatArray, "*#batch states"],
        wish: Float[FloatArray, "*#batch controls"],
        gains: Float[FloatArray, "*#batch total"] | None = None,
        fallback: Float[FloatArray, "*#batch instead"] | None = None,
        *,
        time: Float[FloatArray, "*#batch"] | float = 0.0,
        observation: object = None,
    ) -> tuple[Float[Array, "*batch controls"], Certificate]:
        """Filter a wish at a state, or many with leading axes.

        Args:
            state: where the system is.
            wish: what the policy wants.
            gains: all barriers' gains one after the other, > 0; the layer's by default.
            fallback: see `filter_control`.
            time: when [s], for barriers that move.
            observation: what the layer's own gains depend on; the state by default.

        Returns:
            The control and its certificate, see `safe_control`.

        Raises:
            ModelError: the state, the wish or the gains have another shape.
            TypeError: the state is no real floating point number.
        """
        if gains is None and self.gains is not None:
            gains = self.gains(jnp.asarray(state) if observation is None else observation)
        return safe_control(
            self.system,
            self.barriers,
            self.limits,
            state,
            wish,
            gains,
            fallback,
            time=time,
            weight=self.weight,
            cost=self.cost,
        )
