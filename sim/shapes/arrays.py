"""What the shapes share. Columns, not `[..., 3]` arrays: XLA fuses them into one loop on a CPU.

Nothing here gives nan for finite input, or a gradient that is not finite: the usual second `where`
inside a root or a quotient keeps the branch that is not taken finite too.
"""

from __future__ import annotations

from types import ModuleType
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from sim.fields import WorldError
from sim.state import AnyArray

Column: TypeAlias = Float[AnyArray, "..."]
Mask: TypeAlias = Bool[AnyArray, "..."]


def namespace(array: AnyArray) -> ModuleType:
    """Numpy for numpy's arrays, jax.numpy for all others."""
    return np if isinstance(array, np.ndarray | np.generic) else jnp


def entries_for(shapes: int, count: int | None, name: str) -> int:
    """Entries of padded arrays: `count`, or as many as there are shapes.

    Raises:
        WorldError: if that is too few.
    """
    if count is not None and count < shapes:
        raise WorldError(f"pad.{name}", f"at least {shapes}", count)
    return shapes if count is None else count


def columns(
    vectors: Float[AnyArray, "*batch 3"], shapes: bool = False
) -> tuple[Column, Column, Column]:
    """X, y and z apart; points get a last axis of size one, to be met by the axis of the shapes."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return (x, y, z) if shapes else (x[..., None], y[..., None], z[..., None])


def root(square: Column) -> Column:
    """The square root, with a zero gradient at zero and zero for what is below."""
    xp = namespace(square)
    above = square > 0
    return xp.where(above, xp.sqrt(xp.where(above, square, 1)), 0)


def solid_distance(*excess: Column) -> Column:
    """Distance to a solid that is a product of intervals, from the excess over each interval.

    Args:
        excess: how far the point lies outside each interval [m]; negative inside.
    """
    xp = namespace(excess[0])
    deepest = excess[0]
    for value in excess[1:]:
        # One choice between two gradients. That of `maximum` compares three numbers, which a
        # compiler may round differently where each is needed: at an edge it then counts one more.
        deepest = xp.where(value > deepest, value, deepest)
    outside = root(sum(xp.where(value > 0, value, 0) ** 2 for value in excess))
    # A choice here too, not a sum of both. On the surface the gradient is that of the inside.
    return xp.where(deepest <= 0, deepest, outside)


def nonzero(value: Column) -> Column:
    """The same, but never so near to zero that a quotient by it overflows."""
    xp = namespace(value)
    return xp.where(xp.abs(value) < 1e-20, xp.ones_like(value) * 1e-20, value)


def slab(position: Column, rate: Column, half_width: Column) -> tuple[Column, Column]:
    """When a ray is inside |position + rate t| <= half_width: from the first t to the second."""
    xp = namespace(position)
    rate = nonzero(rate)
    one, other = (-half_width - position) / rate, (half_width - position) / rate
    return xp.minimum(one, other), xp.maximum(one, other)


def entry(enter: Column, leave: Column, exists: Mask) -> Column:
    """Where a ray meets a convex solid that it is inside of from `enter` to `leave` [m].

    Zero where the ray starts inside, infinity where it never enters.
    """
    xp = namespace(enter)
    hit = (enter <= leave) & (leave >= 0) & exists
    return xp.where(hit, xp.maximum(enter, 0), xp.inf)
