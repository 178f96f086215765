"""Relative degrees: how often a barrier must be differentiated until the control shows."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float

from barriernet._qp.problem import FloatArray
from barriernet.chain import MovingFunction, chain_of, control_share, height_of
from barriernet.errors import ModelError
from barriernet.system import ControlAffineSystem

SAMPLES = 16
"""How many states are looked at where none are given."""


class MixedDegreeError(ModelError):
    """The control shows in one derivative at some states only: no one relative degree fits.

    Attributes:
        degree: of the first derivative in which it shows anywhere.
        states: where it does not show there, `[some, states]`.
    """

    def __init__(self, degree: int, states: np.ndarray) -> None:
        """Say where."""
        super().__init__(
            f"h: expected one relative degree, but in derivative {degree} the control does not "
            f"show at {len(states)} of the sampled states, such as {states[0]}"
        )
        self.degree, self.states = degree, states


def quiet(dtype: DTypeLike) -> float:
    """Share of the gradient below which the control does not show: rounding."""
    return 1e3 * float(jnp.finfo(dtype).eps)


def loud(dtype: DTypeLike) -> float:
    """Share of the gradient above which the control surely shows."""
    return max(float(jnp.finfo(dtype).eps) ** 0.5, 4 * quiet(dtype))


def find_relative_degree(
    system: ControlAffineSystem,
    h: Callable[..., Array],
    sample_states: Float[FloatArray, "samples states"] | None = None,
    largest: int = 4,
    *,
    time_varying: bool = False,
) -> int:
    """How often h must be differentiated along the motion until the control shows.

    Looks at samples, in the dtype that they have. Derivatives of ordinary functions vanish
    everywhere or almost nowhere, so a few samples in general position tell. That the control
    shows at all of them does not mean that it shows everywhere (a disc's slope is zero at its
    centre); where it does not, the row has no control in it, and a layer says if it is broken.

    Args:
        system: whose motion it is.
        h: from a state, or a state and a time, to a scalar.
        sample_states: states to look at, from where h is defined and meant to work; normal random
            ones by default, of which those are left out at which h has no finite derivatives.
        largest: where to give up.
        time_varying: whether h takes a time [s]; random times are looked at.

    Returns:
        The relative degree.

    Raises:
        MixedDegreeError: in one derivative the control shows at some samples, and not at others.
        ModelError: the control never shows, it cannot be told from rounding, a derivative at a
            sample is not finite, or h depends on values that are still traced.
    """
    generator = np.random.default_rng(0)
    given = sample_states is not None
    with jax.ensure_compile_time_eval():
        drawn = generator.normal(size=(SAMPLES, system.states))
        samples = jnp.asarray(sample_states if given else drawn)
        times = jnp.asarray(generator.normal(size=len(samples)), samples.dtype)
        first = height_of(h, time_varying)
        for degree in range(1, largest + 1):
            function = chain_of(system, first, jnp.zeros(degree - 1, samples.dtype))[-1]
            shares = _shares(system, function, samples, times, given)
            if _shows(shares, samples, degree):
                return degree
    raise ModelError(f"h: expected the control to show within {largest} derivatives, got none")


def _shares(
    system: ControlAffineSystem, function: MovingFunction, samples: Array, times: Array, given: bool
) -> np.ndarray:
    """Control shares at the samples; NaN where a derivative is not finite and may be so."""

    def share(state: Array, time: Array) -> Array:
        return control_share(system, function, state, time)

    found = jax.jit(jax.vmap(share))(samples, times)
    if isinstance(found, jax.core.Tracer):
        raise ModelError(
            "relative_degree: expected to be given for a barrier that is made of traced values"
        )
    shares = np.asarray(found)
    finite = np.isfinite(shares)
    if not finite.any() or (given and not finite.all()):
        raise ModelError("h: expected finite derivatives at every sample, got NaN or infinity")
    return shares


def _shows(shares: np.ndarray, samples: Array, degree: int) -> bool:
    """Whether the control shows in a derivative at all samples, or at none."""
    finite = np.isfinite(shares)
    if np.any(shares[finite] > loud(samples.dtype)):
        silent = finite & (shares <= quiet(samples.dtype))
        if silent.any():
            raise MixedDegreeError(degree, np.asarray(samples)[silent])
        return True
    if np.any(shares[finite] > quiet(samples.dtype)):
        raise ModelError(
            f"h: expected the control to show clearly or not at all, but in derivative {degree} "
            f"its share of the gradient is {shares[finite].max():.1e} in {samples.dtype}; "
            "give relative_degree, or sample_states in float64"
        )
    return False
