"""The safety layer: a wish goes in; the nearest control that meets every row comes out.

It is differentiable with respect to everything that is a number, and any fault ends in a fallback
that is inside the limits: never in NaN, and never in the wish.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.barrier import Barrier, join_barriers
from barriernet.certificate import Certificate
from barriernet.qp import Outcome, Solution, solve_qp
from barriernet.system import ControlAffineSystem, Limits, ModelError


def filter_control(
    wish: Float[FloatArray, " controls"],
    A: Float[FloatArray, "K columns"],
    b: Float[FloatArray, " rows"],
    limits: Limits,
    weight: Float[FloatArray, " rows"] | float = float("inf"),
    cost: Float[FloatArray, "controls controls"] | None = None,
    fallback: Float[FloatArray, " controls"] | None = None,
) -> tuple[Float[Array, " controls"], Certificate]:
    """The control nearest the wish with A u >= b and inside the limits.

    Pure; for batches use `vmap`. Nothing is raised for bad numbers.

    Args:
        wish: what the policy wants.
        A: rows.
        b: right side of each row.
        limits: of the control; always kept, bit for bit.
        weight: price of each row's squared slack; infinite (the default) for hard rows. Soft rows
            give way to each other and to the limits instead of ending in the fallback.
        cost: what "nearest" means: (u - wish)' cost (u - wish); Euclidean by default.
        fallback: returned, inside the limits, where there is no accepted answer; where it is not
            finite, and by default, the middle of the limits.

    Returns:
        The control, in the dtype of wish and rows, and its certificate.

    Raises:
        ModelError: the rows do not fit the wish.
        TypeError: wish or rows are no real floating point numbers.
    """
    wish, A, b = _fitting(wish, A, b)
    size, dtype = wish.shape[0], wish.dtype
    limits = limits.within(dtype)
    price = jnp.broadcast_to(jnp.asarray(weight, dtype), b.shape)
    metric = jnp.eye(size, dtype=dtype) if cost is None else jnp.asarray(cost, dtype)
    answer = solve_qp(metric, -metric @ wish, A, b, limits.lower, limits.upper, price)

    solved = answer.outcome == int(Outcome.SOLVED)
    safe = limits.middle if fallback is None else jnp.asarray(fallback, dtype)
    safe = limits.clip(jnp.where(jnp.isfinite(safe), safe, limits.middle))
    control = jnp.where(solved, answer.x, jnp.where(jnp.isfinite(safe), safe, answer.x))
    return control, _certify(answer, control, wish, A, b, ~solved)


def _fitting(*given: FloatArray) -> tuple[Array, Array, Array]:
    """Wish, A and b as arrays of one dtype, whose shapes fit each other."""
    wish, A, b = (jnp.asarray(value) for value in given)
    dtype = jnp.result_type(wish, A, b)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"wish, A, b: expected real floating point numbers, got {dtype}")
    if wish.ndim != 1:
        raise ModelError(f"wish: expected a vector, got shape {wish.shape}")
    if A.shape != (*b.shape, wish.shape[0]):
        raise ModelError(f"A: expected shape {(*b.shape, wish.shape[0])}, got {A.shape}")
    return wish.astype(dtype), A.astype(dtype), b.astype(dtype)


def _certify(
    answer: Solution, control: Array, wish: Array, A: Array, b: Array, replaced: Array
) -> Certificate:
    rows = b.shape[0]
    rounding = 1e-9 if b.dtype == jnp.float64 else 1e-4
    margins = A @ control - b
    size = jnp.abs(b) + jnp.abs(A) @ jnp.abs(control)
    moved = control - wish
    apart = jnp.all(moved == 0)
    # Written so that the derivative at zero is zero, not NaN.
    length = jnp.where(apart, 0, jnp.sqrt(jnp.sum(jnp.where(apart, 1, moved) ** 2)))
    return Certificate(
        outcome=answer.outcome,
        replaced=replaced,
        margins=margins,
        holds=jnp.all(margins >= -rounding * size),
        correction=jnp.where(jnp.isfinite(length), length, jnp.inf),
        active=answer.active[:rows] & ~replaced,
        slack=jnp.where(replaced, 0, jnp.max(answer.slack, initial=0)),
        residual=answer.residual,
    )


class BarrierNet:
    """Barriers of one system as a layer over any policy.

    Holds no parameters: gains come from the barriers, or with every call from a network
    (`barriernet.positive` of its outputs), and derivatives flow back to it.
    """

    def __init__(
        self,
        system: ControlAffineSystem,
        barriers: Sequence[Barrier],
        limits: Limits,
        *,
        weight: float | Float[FloatArray, " K"] = float("inf"),
        cost: Float[FloatArray, "controls controls"] | None = None,
    ) -> None:
        """Join a system, its barriers and its limits.

        Args:
            system: whose controls are filtered.
            barriers: any number of them.
            limits: of the control, `[controls]`.
            weight: price of squared slack of the rows, see `filter_control`.
            cost: what "nearest" means, see `filter_control`.

        Raises:
            ModelError: a shape does not fit the system.
        """
        size = system.controls
        if limits.lower.shape != (size,) or limits.upper.shape != (size,):
            raise ModelError(f"limits: expected shape ({size},), got {limits.lower.shape}")
        if jnp.shape(weight) not in ((), (len(barriers),)):
            raise ModelError(f"weight: expected ({len(barriers)},), got {jnp.shape(weight)}")
        if cost is not None and jnp.shape(cost) != (size, size):
            raise ModelError(f"cost: expected shape {(size, size)}, got {jnp.shape(cost)}")
        self.system, self.barriers, self.limits = system, tuple(barriers), limits
        self.weight, self.cost = weight, cost

    @property
    def gain_count(self) -> int:
        """How many gains a network has to give."""
        return sum(barrier.relative_degree for barrier in self.barriers)

    def __call__(
        self,
        state: Float[FloatArray, " states"],
        wish: Float[FloatArray, " controls"],
        gains: Float[FloatArray, " total"] | None = None,
        fallback: Float[FloatArray, " controls"] | None = None,
    ) -> tuple[Float[Array, " controls"], Certificate]:
        """Filter one wish at one state; `vmap` for batches.

        Args:
            state: where the system is.
            wish: what the policy wants.
            gains: all barriers' gains one after the other, > 0; the barriers' own by default.
            fallback: see `filter_control`.

        Returns:
            The control and its certificate. A state, wish or gain that is not finite, and a gain
            that is not positive, end in the fallback with outcome `NONFINITE`.

        Raises:
            ModelError: the state, the wish or the gains have another shape.
        """
        state = jnp.asarray(state)
        if state.shape != (self.system.states,):
            raise ModelError(f"state: expected ({self.system.states},), got {state.shape}")
        sound = jnp.all(jnp.isfinite(state))
        # Something ordinary in its place, so that derivatives of what is rejected stay finite.
        state = jnp.where(sound, state, 1 + 0.1 * jnp.arange(state.size, dtype=state.dtype))
        if gains is not None:
            gains = jnp.asarray(gains, state.dtype)
            usable = (gains > 0) & (gains < jnp.inf)
            sound = sound & jnp.all(usable)
            gains = jnp.where(usable, gains, 1)
        A, b = join_barriers(self.system, self.barriers, state, gains)
        wish = jnp.where(sound, jnp.asarray(wish), jnp.nan)
        return filter_control(wish, A, b, self.limits, self.weight, self.cost, fallback=fallback)
