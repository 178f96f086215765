"""Barrier functions made of others: smooth intersections and unions of safe sets.

Several barriers in one layer are kept all at once, each by its own row: that needs nothing here.
Where one function is wanted (one row for many obstacles, or "inside this room or that one"), the
soft minimum and the soft maximum stand for min and max. Both are built to lie at or below the true
value, by no more than log(N) / sharpness, so their safe set lies inside the true one. Lindemann and
Dimarogonas, IEEE L-CSS 2019; Molnar and Ames, IEEE L-CSS 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from barriernet.errors import ModelError


def soft_minimum(values: Float[Array, "*batch N"], sharpness: float) -> Float[Array, "*batch"]:
    """-1/k log sum exp(-k v): between min(v) - log(N) / k and min(v).

    Args:
        values: v, at least one.
        sharpness: k > 0, in one over the units of v.

    Raises:
        ModelError: the sharpness is not positive and finite.
    """
    return -jax.nn.logsumexp(-_checked(sharpness) * values, axis=-1) / sharpness


def soft_maximum(values: Float[Array, "*batch N"], sharpness: float) -> Float[Array, "*batch"]:
    """1/k log mean exp(k v): between max(v) - log(N) / k and max(v).

    Arguments and errors as of `soft_minimum`.
    """
    total = jax.nn.logsumexp(_checked(sharpness) * values, axis=-1)
    return (total - math.log(values.shape[-1])) / sharpness


def all_of(*functions: Callable[..., Array], sharpness: float) -> Callable[..., Array]:
    """One h for the intersection of the sets h_i >= 0: the soft minimum.

    Never above min h_i, and below it by at most `composition_error`; so h >= 0 means that every
    h_i >= 0.

    Args:
        functions: h_1 ... h_N, all of the state, or all of state and time.
        sharpness: k > 0.

    Raises:
        ModelError: there is no function, or the sharpness is not positive and finite.
    """
    return _composed(soft_minimum, functions, sharpness)


def any_of(*functions: Callable[..., Array], sharpness: float) -> Callable[..., Array]:
    """One h for the union of the sets h_i >= 0: the soft maximum, lowered by log(N) / k.

    Never above max h_i, and below it by at most `composition_error`; so h >= 0 means that some
    h_i >= 0. Arguments and errors as of `all_of`.
    """
    return _composed(soft_maximum, functions, sharpness)


def composition_error(count: int, sharpness: float) -> float:
    """Most by which `all_of` and `any_of` of that many functions lie below min and max.

    Raises:
        ModelError: the count or the sharpness is not positive.
    """
    if count < 1:
        raise ModelError(f"count: expected at least 1, got {count}")
    return math.log(count) / _checked(sharpness)


def _composed(
    soft: Callable[[Array, float], Array],
    functions: tuple[Callable[..., Array], ...],
    sharpness: float,
) -> Callable[..., Array]:
    if not functions:
        raise ModelError("functions: expected at least one, got none")
    _checked(sharpness)

    def together(*at: Array) -> Array:
        return soft(jnp.stack([function(*at) for function in functions]), sharpness)

    return together


def _checked(sharpness: float) -> float:
    if not 0 < sharpness < math.inf:
        raise ModelError(f"sharpness: expected a positive finite number, got {sharpness}")
    return sharpness
