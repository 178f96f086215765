"""Keep a vector inside its bounds, bit for bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def inside(
    x: Float[Array, "*batch n"], lower: Float[Array, "*batch n"], upper: Float[Array, "*batch n"]
) -> Float[Array, "*batch n"]:
    """Clip a finite x by selection, so that what is clipped is its bound, and so its derivative.

    Bounds that are not finite are not there.
    """
    x = jnp.where(jnp.isfinite(lower) & _below(x, lower), lower, x)
    return jnp.where(jnp.isfinite(upper) & _below(upper, x), upper, x)


def _below(
    left: Float[Array, "*batch n"], right: Float[Array, "*batch n"]
) -> Bool[Array, "*batch n"]:
    """Whether left < right, by bit pattern.

    Compiled comparisons take subnormal numbers for zero.
    """
    integer = jnp.int64 if left.dtype == jnp.float64 else jnp.int32

    def ordered(value: Array) -> Array:
        bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(value), integer)
        return jnp.where(bits < 0, bits ^ jnp.iinfo(integer).max, bits)

    return ordered(left) < ordered(right)
