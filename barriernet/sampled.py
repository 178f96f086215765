"""Barriers under a control that is held between samples: how much a row must keep in reserve.

A control computed at t_k and held for a period T meets psi_r >= 0 at t_k only. Let eta bound how
fast the rate of psi = psi_{r-1} can fall while the control is held, d/dt (d/dt psi) >= -eta. With

    d/dt psi(t_k) >= -p psi(t_k) + eta T / 2   and   p <= 1 / T,

for every s in [0, T]

    psi(t_k + s) >= psi + s d/dt psi - eta s^2 / 2 >= (1 - p s) psi + eta s (T - s) / 2 >= 0,

so psi, and down the chain h, stays at or above zero between samples too, not only at them. Breeden,
Garg and Panagou, "Control barrier functions in sampled-data systems", IEEE L-CSS 2022, give this
condition (that of the second derivative) for relative degree 1, and the Lipschitz one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from barriernet.errors import ModelError


@dataclass(frozen=True)
class SampledData:
    """The period of a held control, and how fast a barrier's rate can fall meanwhile.

    Attributes:
        period: T [s].
        curvature: eta, bound on the fall per second of d/dt psi_{r-1} while any allowed control is
            held, under the worst declared disturbance, >= 0: one number for everywhere, or a
            function of the state `[states]` at the sample that bounds it for the period that
            follows. `largest_curvature` measures it.
    """

    period: float
    curvature: float | Callable[[Array], Array]

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ModelError: the period is not positive and finite, or the curvature is a number that is
                negative or not finite.
        """
        if not 0 < self.period < math.inf:
            raise ModelError(f"period: expected a positive finite number, got {self.period}")
        if not callable(self.curvature) and not 0 <= self.curvature < math.inf:
            raise ModelError(f"curvature: expected a finite number >= 0, got {self.curvature}")

    @classmethod
    def from_lipschitz(cls, period: float, lipschitz: float, speed: float) -> SampledData:
        """From a Lipschitz bound of the rate: eta = lipschitz * speed.

        Args:
            period: T [s].
            lipschitz: of x -> d/dt psi_{r-1}(x, u), the same for every allowed u.
            speed: largest |dx/dt| under an allowed control and disturbance.

        Raises:
            ModelError: a number is negative or not finite.
        """
        for name, value in (("lipschitz", lipschitz), ("speed", speed)):
            if not 0 <= value < math.inf:
                raise ModelError(f"{name}: expected a finite number >= 0, got {value}")
        return cls(period, lipschitz * speed)

    def reserve(self, state: Float[Array, " states"]) -> Float[Array, ""]:
        """What the row gives up at this state, eta T / 2, in units of d/dt psi_{r-1}."""
        eta = self.curvature(state) if callable(self.curvature) else self.curvature
        return jnp.asarray(eta, state.dtype) * (self.period / 2)
