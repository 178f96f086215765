"""Leading axes: what is written for one is called for many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array

from barriernet.errors import ModelError

Answer = TypeVar("Answer")


def over_batch(
    function: Callable[..., Answer],
    names: Sequence[str],
    ranks: Sequence[int],
    values: Sequence[Array | None],
) -> Answer:
    """Call a function of single arrays with arrays that may have leading axes.

    Args:
        function: of single arrays, or None in their place; answers with a pytree of arrays.
        names: of the arguments, for errors.
        ranks: how many axes a single argument has.
        values: the arguments, `[*batch, ...]`, whose leading axes broadcast; or None.

    Returns:
        The answers, with the same leading axes.

    Raises:
        ModelError: an argument has too few axes, or leading axes do not fit each other.
    """
    leading = {}
    for name, rank, value in zip(names, ranks, values, strict=True):
        if value is not None:
            if value.ndim < rank:
                raise ModelError(f"{name}: expected at least {rank} axes, got {value.shape}")
            leading[name] = value.shape[: value.ndim - rank]
    if not any(leading.values()):
        return function(*values)
    try:
        batch = jnp.broadcast_shapes(*leading.values())
    except ValueError as refusal:
        raise ModelError(f"batch: expected leading axes that fit, got {leading}") from refusal
    count, flat, axes = math.prod(batch), [], []
    for name, rank, value in zip(names, ranks, values, strict=True):
        many = bool(leading.get(name))
        if value is not None and many:
            single = value.shape[value.ndim - rank :]
            value = jnp.broadcast_to(value, (*batch, *single)).reshape(count, *single)
        flat.append(value)
        axes.append(0 if many else None)
    answers = jax.vmap(function, in_axes=tuple(axes), axis_size=count)(*flat)
    return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), answers)
