"""Positive gains that are learnt: BarrierNet's penalty functions p_i > 0.

Gains may be the same everywhere (`LearnableGains`) or chosen at every observation by a network
(`GainNetwork`). The rows treat them as constants of the moment: their own change in time is left
out, as in Xiao, Wang, Hasani, Chahine, Amini, Li and Rus, "BarrierNet", IEEE T-RO 2023. With gains
that change fast along a flight the chain below its last step is therefore an approximation; gains
of a barrier of relative degree 1 may change as they like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from barriernet._qp.problem import FloatArray
from barriernet.errors import ModelError

LEAST = 1e-3
"""Smallest gain that a network is given by default [1/s]."""


def positive(raw: Float[Array, "*shape"], least: float = LEAST) -> Float[Array, "*shape"]:
    """Gains from any real numbers: softplus, never below `least` [1/s]."""
    return jax.nn.softplus(raw) + jnp.asarray(least, raw.dtype)


class LearnableGains(nnx.Module):
    """Gains that are parameters, the same at every observation."""

    def __init__(self, start: Sequence[float], *, least: float = LEAST) -> None:
        """Start at given gains.

        Args:
            start: first values [1/s], one for each gain of all barriers, above `least`.
            least: smallest gain that learning can reach [1/s].

        Raises:
            ModelError: a gain is not finite and above `least`, or `least` is not positive.
        """
        values = np.asarray(start, np.float64)
        if not least > 0:
            raise ModelError(f"least: expected a positive number, got {least}")
        if values.ndim != 1 or not np.all((values > least) & np.isfinite(values)):
            raise ModelError(f"start: expected finite numbers above {least}, got {start}")
        above = values - least
        # The inverse of softplus, written so that large numbers do not overflow.
        self.raw = nnx.Param(jnp.asarray(above + np.log(-np.expm1(-above))))
        self.least = least

    def __call__(self, observation: object = None) -> Float[Array, " total"]:
        """The gains, whatever is observed [1/s]."""
        del observation
        return positive(self.raw[...], self.least)


class GainNetwork(nnx.Module):
    """Gains that a network chooses at every observation."""

    def __init__(self, network: Callable[[Array], Array], *, least: float = LEAST) -> None:
        """Put a network's raw numbers through `positive`.

        Args:
            network: from observations `[*batch, size]` to raw numbers `[*batch, total]`; an
                `nnx.Module` keeps its parameters in the layer that holds this.
            least: smallest gain [1/s].

        Raises:
            ModelError: `least` is not positive.
        """
        if not least > 0:
            raise ModelError(f"least: expected a positive number, got {least}")
        self.network, self.least = network, least

    def __call__(self, observation: Float[FloatArray, "*batch size"]) -> Float[Array, "*b total"]:
        """The gains at this observation [1/s]."""
        return positive(self.network(jnp.asarray(observation)), self.least)
