"""Activations of the published cells, by name."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

LECUN_SCALE, LECUN_SLOPE = 1.7159, 0.666


def lecun_tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1.7159 tanh(0.666 x), the backbone's activation in every published CfC."""
    return LECUN_SCALE * jnp.tanh(LECUN_SLOPE * x)


@jax.custom_jvp
def tanh(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The hyperbolic tangent; its derivative is made of the answer, so a gradient keeps no more."""
    return jnp.tanh(x)


@tanh.defjvp
def _tanh_derivative(points: tuple[Array], changes: tuple[Array]) -> tuple[Array, Array]:
    answer = tanh(*points)
    return answer, changes[0] * (1 - answer * answer)


def linear(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Nothing."""
    return x


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The exact one, by the error function; jax's default is an approximation."""
    return jax.nn.gelu(x, approximate=False)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "lecun_tanh": lecun_tanh,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": gelu,
    "softplus": jax.nn.softplus,
    "linear": linear,
}


def activation(name: str) -> Callable[[Array], Array]:
    """The activation of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation: expected one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name]
