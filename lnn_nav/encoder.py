"""The encoder of the rays: the same small filters for every direction, then a few glances.

Rays come in one level ring and rings above and below it. Filters run around the circle and share
their weights between all directions, so that what is learnt about a gap ahead holds for a gap at
the side. Each *glance* then attends to some directions (a softmax around the circle) and reports
where it looked and how far one can fly there.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.cfc import lecun_tanh

WIDTH = 5
"""Directions that a filter sees."""


class RingEncoder(nnx.Module):
    """Rays of several rings to a few features.

    Attributes:
        rings: number of rays of each ring.
        around: number of directions: rays of the coarsest ring; a finer one gives several to each.
        glances: number of attentions.
        outputs: number of features.
    """

    def __init__(
        self, rings: tuple[int, ...], filters: int, glances: int, dense: int, *, rngs: nnx.Rngs
    ) -> None:
        """Draw the weights (float32).

        Args:
            rings: number of rays of each ring.
            filters: width of the circular layers.
            glances: number of attentions.
            dense: features of a plain layer over all rays, beside the glances.
            rngs: source of randomness.

        Raises:
            ValueError: if a ring's count is not a multiple of the least one.
        """
        self.around = min(rings)
        if any(count % self.around for count in rings):
            raise ValueError(f"rings: expected multiples of {self.around}, got {rings}")
        channels = sum(rings) // self.around
        self.rings, self.glances = rings, glances
        self.outputs = glances * (2 + channels) + dense
        self.near = nnx.Linear(WIDTH * (channels + 2), filters, rngs=rngs)
        self.wide = nnx.Linear(WIDTH * filters, filters, rngs=rngs)
        self.looks = nnx.Linear(filters, glances, rngs=rngs)
        self.plain = nnx.Linear(sum(rings), dense, rngs=rngs)

    def __call__(
        self, rays: Float[Array, "*batch rays"], goal: Float[Array, "*batch 2"]
    ) -> Float[Array, "*batch features"]:
        """Encode.

        Args:
            rays: squashed ranges, ring after ring.
            goal: level direction of the target in the frame of the rays (zero for straight up).
        """
        # Channels first and flights last: matrix products then run along all flights at once,
        # which was measured to be four times as fast as flights first.
        batch = rays.shape[:-1]
        count = math.prod(batch)
        circle = self._circle(rays.reshape(count, -1).T)
        angle = 2 * np.pi * np.arange(self.around) / self.around
        compass = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)[:, :, None]
        level = goal.reshape(count, 2).T
        along = compass[0] * level[0] + compass[1] * level[1]
        across = compass[1] * level[0] - compass[0] * level[1]
        seen = jnp.concatenate([circle, along[None], across[None]])
        hidden = lecun_tanh(_applied(self.near, _around(seen, 1)))
        hidden = lecun_tanh(_applied(self.wide, _around(hidden, 2)))
        looks = jax.nn.softmax(3 * _applied(self.looks, hidden), axis=1)
        shown = jnp.concatenate([jnp.broadcast_to(compass, (2, *circle.shape[1:])), circle])
        flat = _glances(looks, shown).T.reshape(*batch, -1)
        return jnp.concatenate([flat, lecun_tanh(self.plain(rays))], axis=-1)

    def _circle(self, rays: Float[Array, "rays flights"]) -> Float[Array, "channels k flights"]:
        """All rays of each direction side by side."""
        channels, first = [], 0
        for count in self.rings:
            ring = rays[first : first + count].reshape(self.around, -1, rays.shape[-1])
            channels.append(jnp.swapaxes(ring, 0, 1))
            first += count
        return jnp.concatenate(channels)


def _applied(layer: nnx.Linear, values: Float[Array, "i k n"]) -> Float[Array, "o k n"]:
    """A dense layer on the first axis."""
    product = jnp.tensordot(layer.kernel.get_value().T, values, 1)
    bias = layer.bias
    return product if bias is None else product + bias.get_value()[:, None, None]


def _glances(
    looks: Float[Array, "glances k n"], shown: Float[Array, "shown k n"]
) -> Float[Array, "features n"]:
    """What each glance sees: means of what is shown, weighed by where it looks."""
    if looks.shape[-1] == 1:
        # A pilot in flight: one matrix product costs less than the sums do.
        return (looks[..., 0] @ shown[..., 0].T).reshape(-1, 1)
    return jnp.sum(looks[:, None] * shown, axis=2).reshape(-1, looks.shape[-1])


def _around(values: Float[Array, "c k n"], stride: int) -> Float[Array, "i k n"]:
    """Each direction with its neighbours on both sides, `stride` apart."""
    reach = range(-(WIDTH // 2), WIDTH // 2 + 1)
    return jnp.concatenate([jnp.roll(values, -stride * i, axis=1) for i in reach])
