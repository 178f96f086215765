"""Rows that hold between commands: a guard under the published row, which holds at them only.

BarrierNet's row keeps psi_2 >= 0 at the moment of a command, and leaves out that its gains change.
With the control held for T = 0.1 s, and gains that a network may drop at any step, that row alone
lets h fall below zero. The guard is a second row in the same direction, with gains that never
change, so that together they are one row with the larger right side.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from barriernet.barrier import Barrier
from barriernet.examples.experiment import RowFunction
from barriernet.system import ControlAffineSystem


def guarded_rows(
    system: ControlAffineSystem, barrier: Barrier, guard: float, margin: float
) -> RowFunction:
    """The published row of a barrier of degree 2, or the guarding one where that asks for more.

    For h that is convex in a position whose acceleration is A u / grad h: while the control is
    held, h(s) >= h + h' s + 1/2 (A u) s^2, and h' rises by A u T or more. The row

        A u >= -2 P h' - P^2 (h - margin)

    (the row of P and P, less the curvature of h) therefore steers a sampled double integrator
    whose h and h' are below the true ones. With x = P T, d = h - margin and psi = h' + P d,

        d+ >= (1 - x + x^2 / 2) d + T (1 - x) psi,    psi+ >= (1 - x - x^2) psi + P x^2 d / 2:

    both stay >= 0 for ever once they are, whatever the wish and the gains, if x + x^2 <= 1. What
    the bound leaves out must be covered by the margin: see each experiment's.

    Args:
        system: whose motion it is.
        barrier: of relative degree 2, with h convex in the position.
        guard: P [1/s], at least the largest gain of the network: a smaller one would always rule.
        margin: kept off h, in its unit.
    """

    def rows(state: Array, gains: Array) -> tuple[Array, Array]:
        A, b = barrier.rows(system, state, gains)
        height, rate = jax.jvp(barrier.h, (state,), (system.drift(state),))
        return A, jnp.maximum(b, -2 * guard * rate - guard**2 * (height - margin))

    return rows
