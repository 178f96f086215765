"""The control nearest a wish that meets every row, or a fallback; and what is known about it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.batch import over_batch
from barriernet.certificate import Cause, Certificate
from barriernet.errors import ModelError
from barriernet.limits import Limits
from barriernet.qp import Outcome, Solution, solve_qp


def filter_control(
    wish: Float[FloatArray, "*#batch controls"],
    A: Float[FloatArray, "*#batch K columns"],
    b: Float[FloatArray, "*#batch rows"],
    limits: Limits,
    weight: float | Float[FloatArray, "*#batch prices"] | Float[FloatArray, ""] = float("inf"),
    cost: Float[FloatArray, "*#batch controls controls"] | None = None,
    fallback: Float[FloatArray, "*#batch controls"] | None = None,
) -> tuple[Float[Array, "*batch controls"], Certificate]:
    """The control nearest the wish with A u >= b and inside the limits.

    Pure; takes leading axes, and `vmap`. Nothing is raised for bad numbers.

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
        ModelError: the rows do not fit the wish, or leading axes do not fit each other.
        TypeError: wish or rows are no real floating point numbers.
    """
    wish, A, b = _fitting(wish, A, b)
    dtype = wish.dtype
    limits = limits.within(dtype)
    price, metric, safe = (
        None if part is None else jnp.asarray(part, dtype) for part in (weight, cost, fallback)
    )
    names = ("wish", "A", "b", "lower", "upper", "weight", "cost", "fallback")
    ranks = (1, 2, 1, 1, 1, min(1, jnp.ndim(weight)), 2, 1)
    values = (wish, A, b, limits.lower, limits.upper, price, metric, safe)
    return over_batch(_filter_one, names, ranks, values)


# Compiled on its own, for those who call it outside jit.
@jax.jit
def _filter_one(
    wish: Array,
    A: Array,
    b: Array,
    lower: Array,
    upper: Array,
    weight: Array,
    cost: Array | None,
    fallback: Array | None,
) -> tuple[Array, Certificate]:
    limits, metric = Limits(lower, upper), cost
    if metric is None:
        metric = jnp.eye(wish.shape[0], dtype=wish.dtype)
    price = jnp.broadcast_to(weight, b.shape)
    answer = solve_qp(metric, -metric @ wish, A, b, lower, upper, price)

    solved = answer.outcome == int(Outcome.SOLVED)
    safe = limits.middle if fallback is None else fallback
    safe = limits.clip(jnp.where(jnp.isfinite(safe), safe, limits.middle))
    control = jnp.where(solved, answer.x, jnp.where(jnp.isfinite(safe), safe, answer.x))
    return control, _certify(answer, control, wish, A, b, ~solved)


def _fitting(*given: FloatArray) -> tuple[Array, Array, Array]:
    """Wish, A and b as arrays of one dtype, whose shapes fit each other."""
    wish, A, b = (jnp.asarray(value) for value in given)
    dtype = jnp.result_type(wish, A, b)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"wish, A, b: expected real floating point numbers, got {dtype}")
    if wish.ndim < 1:
        raise ModelError(f"wish: expected a vector, got shape {wish.shape}")
    if b.ndim < 1:
        raise ModelError(f"b: expected a vector, got shape {b.shape}")
    expected = (b.shape[-1], wish.shape[-1])
    if A.shape[-2:] != expected:
        raise ModelError(f"A: expected shape {expected}, got {A.shape}")
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
        cause=_cause(answer.outcome, wish, A, b),
    )


def _cause(outcome: Array, wish: Array, A: Array, b: Array) -> Array:
    """Which input made the outcome `NONFINITE`."""
    rows = jnp.all(jnp.isfinite(A)) & jnp.all(jnp.isfinite(b))
    cause = jnp.where(rows, int(Cause.NUMBERS), int(Cause.ROWS))
    cause = jnp.where(jnp.all(jnp.isfinite(wish)), cause, int(Cause.WISH))
    refused = outcome == int(Outcome.NONFINITE)
    return jnp.where(refused, cause, int(Cause.NONE)).astype(jnp.int32)
