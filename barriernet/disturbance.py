"""What pushes a system besides its control, inside a bound that is declared.

A barrier that must hold against every push w in dx/dt = f(x) + g(x) u + D(x) w gives up, in its
row, what the worst of them can take from the barrier's rate: |D' grad psi| times the bound. Beyond
the bound the barrier is input-to-state safe: Kolathaya and Ames, IEEE L-CSS 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from barriernet.errors import ModelError


@dataclass(frozen=True)
class Disturbance:
    """A push D(x) w on the rate of the state, with w unknown inside a bound.

    Where it enters decides how exact the rows become. With psi_{r-1} the last function of a
    barrier's chain, before the control shows:

    - It shows no earlier than the control does (D' grad psi_i = 0 for i < r - 1: every push on a
      barrier of relative degree 1, and at every degree one that is *matched*, that is D = g M):
      only the last step gives something up, and exactly as much as is needed. A control meets the
      row if and only if it meets psi_r >= 0 under the worst w.
    - It shows earlier (unmatched): every step gives up its own worst case. The set is kept
      against every w, but the worst of two steps need not be the same w, so the row may ask for
      more than is needed.

    Attributes:
        bound: one number for a ball, |w| <= bound; one each for a box, |w_i| <= bound_i. In the
            units of w.
        matrix: D, from a state `[states]` to `[states, pushes]`; by default g, a push that comes
            with the control.
    """

    bound: float | tuple[float, ...]
    matrix: Callable[[Array], Array] | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ModelError: a bound is not a finite number >= 0, or there is none.
        """
        bounds = self.bound if isinstance(self.bound, tuple) else (self.bound,)
        if not bounds or not all(0 <= bound < math.inf for bound in bounds):
            raise ModelError(f"bound: expected finite numbers >= 0, got {self.bound}")

    def worst(self, slopes: Float[Array, " pushes"]) -> Float[Array, ""]:
        """Most that the bound lets w take from a rate that it enters as slopes . w."""
        if isinstance(self.bound, tuple):
            return jnp.asarray(self.bound, slopes.dtype) @ jnp.abs(slopes)
        none = jnp.all(slopes == 0)
        # Written so that the derivative at zero is zero, not NaN.
        length = jnp.sqrt(jnp.sum(jnp.where(none, 1, slopes) ** 2))
        return self.bound * jnp.where(none, 0, length)


def safety_depth(excess: float, gains: Sequence[float]) -> float:
    """How far below zero a push beyond its declared bound can drive a barrier, at most.

    A row whose last rate falls short by e = sup |D' grad psi_{r-1}| (|w| - bound) keeps
    psi_{r-1} >= -e / p_r, and so on down the chain to h >= -e / (p_1 ... p_r), from every state
    inside, where the push shows no earlier than the control (see `Disturbance`).

    Args:
        excess: e, bound of what the push takes beyond what the row gave up, in units of the last
            rate of the chain.
        gains: p_1 ... p_r [1/s].

    Returns:
        The depth, >= 0: h stays at or above minus this.

    Raises:
        ModelError: the excess is negative, or a gain is not positive.
    """
    if not 0 <= excess < math.inf:
        raise ModelError(f"excess: expected a finite number >= 0, got {excess}")
    if not gains or not all(0 < gain < math.inf for gain in gains):
        raise ModelError(f"gains: expected positive finite numbers, got {gains}")
    return excess / math.prod(gains)
