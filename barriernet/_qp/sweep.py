"""The sweep operator on many small tableaus at once, the batch along the last axis.

Sweeping variable j of [[M, g], [g', .]] exchanges x_j with the j-th component of M x + g. With the
variables of a set F swept (C are the others, H the inverse of M_FF) the tableau holds

    [[-H,      H M_FC,                  H g_F          ],
     [M_CF H,  M_CC - M_CF H M_FC,      g_C - M_CF H g_F]]

which is all that a box constraint asks for (Beaton 1964; Goodnight, Am. Stat. 33, 1979). A sweep is
one elementwise expression, where a factorisation would be a chain of small ones.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from barriernet._qp.lanes import for_each


def sweep(
    tableau: Float[Array, "m m B"],
    j: int | Array,
    chosen: Bool[Array, " B"],
) -> Float[Array, "m m B"]:
    """Sweep variable j of the chosen lanes."""
    here = jnp.arange(tableau.shape[0]) == j
    inverse = 1 / jnp.where(chosen, tableau[j, j], 1)
    row, column = tableau[j] * inverse, tableau[:, j]
    swept = tableau - column[:, None] * row[None]
    swept = jnp.where(here[:, None, None], row[None], swept)
    swept = jnp.where(here[None, :, None], (column * inverse)[:, None], swept)
    swept = jnp.where((here[:, None] & here[None])[..., None], -inverse, swept)
    return jnp.where(chosen, swept, tableau)


def sweep_all(
    tableau: Float[Array, "m m B"],
    chosen: Bool[Array, "n B"],
) -> Float[Array, "m m B"]:
    """Sweep every chosen variable, the first n of the tableau, in turn."""

    def one(j: int | Array, tableau: Array) -> Array:
        return sweep(tableau, j, chosen[j])

    return for_each(chosen.shape[0], one, tableau)


def read_off(
    tableau: Float[Array, "m m B"],
    fixed: Bool[Array, "n B"],
    value: Float[Array, "n B"],
    unknowns: int,
) -> Float[Array, "s B"]:
    """The minimum of 1/2 x'M x + g'x where the fixed variables have a value.

    The others are swept, or count as zero.

    Returns:
        x_j of the others, and (M x + g)_j of the fixed ones, for the first `unknowns` of the
        tableau.
    """
    count = fixed.shape[0]
    total = tableau[:unknowns, unknowns]
    for j in range(count):
        total = total + tableau[:unknowns, j] * value[j]
    signed = jnp.where(fixed, total[:count], -total[:count])
    return signed if unknowns == count else jnp.concatenate([signed, -total[count:]])
