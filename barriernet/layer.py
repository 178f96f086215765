"""The safety layer: a wish goes in; the nearest control that meets every row comes out.

It is differentiable with respect to everything that is a number, and any fault ends in a fallback
that is inside the limits: never in NaN, and never in the wish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.batch import over_batch
from barriernet.certificate import Cause, Certificate
from barriernet.errors import ModelError
from barriernet.filter import filter_control
from barriernet.gains import LearnableGains
from barriernet.joint import Constraint, System, join_barriers
from barriernet.limits import Limits


def safe_control(
    system: System,
    barriers: Sequence[Constraint],
    limits: Limits,
    state: Float[FloatArray, "*#batch states"],
    wish: Float[FloatArray, "*#batch controls"],
    gains: Float[FloatArray, "*#batch total"] | None = None,
    fallback: Float[FloatArray, "*#batch controls"] | None = None,
    *,
    time: Float[FloatArray, "*#batch"] | float = 0.0,
    weight: Float[FloatArray, " K"] | float = float("inf"),
    cost: Float[FloatArray, "controls controls"] | None = None,
) -> tuple[Float[Array, "*batch controls"], Certificate]:
    """Filter a wish at a state: `BarrierNet` as a pure function.

    Args:
        system: whose controls are filtered.
        barriers: any number of them.
        limits: of the control, `[controls]`.
        state: where the system is.
        wish: what the policy wants.
        gains: all barriers' gains one after the other, > 0; the barriers' own by default.
        fallback: see `filter_control`.
        time: when [s], for barriers that move.
        weight: see `filter_control`.
        cost: see `filter_control`.

    Returns:
        The control and its certificate. A state, time, wish or gain that is not finite, and a gain
        that is not positive, end in the fallback with outcome `NONFINITE` and a `Cause`.

    Raises:
        ModelError: a shape does not fit the system, or leading axes do not fit each other.
        TypeError: the state is no real floating point number.
    """
    state, wish = jnp.asarray(state), jnp.asarray(wish)
    if not jnp.issubdtype(state.dtype, jnp.floating):
        raise TypeError(f"state: expected real floating point numbers, got {state.dtype}")
    gains = None if gains is None else jnp.asarray(gains, state.dtype)
    fallback = None if fallback is None else jnp.asarray(fallback)
    ready = tuple(barrier.on(system) for barrier in barriers)
    total = sum(barrier.gain_count for barrier in ready)
    sizes = (system.states, system.controls, total, system.controls)
    for name, value, size in zip(
        ("state", "wish", "gains", "fallback"), (state, wish, gains, fallback), sizes, strict=True
    ):
        if value is not None and value.shape[-1:] != (size,):
            raise ModelError(f"{name}: expected ({size},), got {value.shape}")

    def one(
        state: Array, wish: Array, gains: Array | None, fallback: Array | None, time: Array
    ) -> tuple[Array, Certificate]:
        cause, state, gains, time = _sound(state, gains, time)
        A, b = join_barriers(system, ready, state, gains, time, wish=wish, limits=limits)
        refused = cause != int(Cause.NONE)
        wish = jnp.where(refused, jnp.nan, wish)
        control, certificate = filter_control(wish, A, b, limits, weight, cost, fallback)
        return control, replace(certificate, cause=jnp.where(refused, cause, certificate.cause))

    names, ranks = ("state", "wish", "gains", "fallback", "time"), (1, 1, 1, 1, 0)
    when = jnp.asarray(time, state.dtype)
    return over_batch(one, names, ranks, (state, wish, gains, fallback, when))


def _sound(
    state: Array, gains: Array | None, time: Array
) -> tuple[Array, Array, Array | None, Array]:
    """Inputs with something ordinary in place of what must be refused, and the `Cause`.

    So derivatives of what is refused stay finite.
    """
    sound = jnp.all(jnp.isfinite(state)) & jnp.isfinite(time)
    cause = jnp.where(sound, int(Cause.NONE), int(Cause.STATE)).astype(jnp.int32)
    state = jnp.where(sound, state, 1 + 0.1 * jnp.arange(state.size, dtype=state.dtype))
    time = jnp.where(sound, time, 0)
    if gains is not None:
        usable = (gains > 0) & (gains < jnp.inf)
        cause = jnp.where(sound & ~jnp.all(usable), int(Cause.GAINS), cause).astype(jnp.int32)
        gains = jnp.where(usable, gains, 1)
    return cause, state, gains, time


class BarrierNet(nnx.Module):
    """Barriers of one system as a layer over any policy.

    Gains come from the barriers, from a module that the layer holds (whose parameters are then its
    own), or with every call (`barriernet.positive` of a network's outputs); derivatives flow back
    to all of them, and to the wish.

    Attributes:
        barriers: the barriers, their relative degrees found.
        gains: the module that gives the gains, or None.
    """

    def __init__(
        self,
        system: System,
        barriers: Sequence[Constraint],
        limits: Limits,
        *,
        weight: float | Float[FloatArray, " K"] = float("inf"),
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
        self.weight, self.cost = nnx.data(weight), nnx.data(cost)
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
        fallback: Float[FloatArray, "*#batch controls"] | None = None,
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
