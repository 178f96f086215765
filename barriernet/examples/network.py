"""The experiments' network: a trunk, then one branch for the wish and one for the gains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float


@dataclass(frozen=True)
class PolicySize:
    """Layers of a `Policy`.

    Attributes:
        observations: numbers it sees.
        trunk: neurons that both branches see.
        branch: neurons of each layer of a branch, none or more of them.
        controls: numbers of the wish.
        gains: numbers of the gains.
        activation: after every layer but the last.
        gain_range: least and most gain [1/s]. The original's is (0, 4); a little above zero, no
            float32 sigmoid rounds to it.
    """

    observations: int
    trunk: int
    branch: tuple[int, ...]
    controls: int
    gains: int
    activation: Callable[[Array], Array] = jnp.tanh
    gain_range: tuple[float, float] = (1e-3, 4.0)

    def gains_of(self, logits: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Positive gains [1/s] from any real numbers."""
        least, most = self.gain_range
        return least + (most - least) * jax.nn.sigmoid(logits)


class Policy(nnx.Module):
    """From an observation to a wish and the logits of the gains, in float32."""

    def __init__(self, size: PolicySize, *, rngs: nnx.Rngs) -> None:
        """Draw weights uniformly in 1 / sqrt(inputs), as the original's framework does."""
        self.size = size
        self.trunk = _linear(size.observations, size.trunk, rngs)
        self.wish = _branch(size, size.controls, rngs)
        self.gains = _branch(size, size.gains, rngs)

    def __call__(
        self, observation: Float[Array, " observations"]
    ) -> tuple[Float[Array, " controls"], Float[Array, " logits"]]:
        """Wish and logits at one standardised observation; see `PolicySize.gains_of`."""
        active = self.size.activation
        seen = active(self.trunk(observation))
        raw = []
        for branch in (self.wish, self.gains):
            value = seen
            for layer in branch[:-1]:
                value = active(layer(value))
            raw.append(branch[-1](value))
        return raw[0], raw[1]


def _branch(size: PolicySize, outputs: int, rngs: nnx.Rngs) -> Sequence[nnx.Linear]:
    widths = (size.trunk, *size.branch, outputs)
    return nnx.List([_linear(a, b, rngs) for a, b in zip(widths[:-1], widths[1:], strict=True)])


def _linear(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    bound = inputs**-0.5

    def draw(key: Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nnx.Linear(
        inputs, outputs, kernel_init=draw, bias_init=draw, param_dtype=jnp.float32, rngs=rngs
    )
