"""The encoder of the rays: the same small filters for every direction, then a few glances.

Rays come in one level ring and rings above and below it. Filters run around the circle and share
their weights between all directions, so that what is learnt about a gap ahead holds for a gap at
the side. Each *glance* then attends to some directions (a softmax around the circle) and reports
where it looked and how far one can fly there.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from lnn_nav.cells.cfc import lecun_tanh

WIDTH = 5
"""Directions that a filter sees."""


class RingEncoder(nnx.Module):
    """Rays of several rings to a few features.

    Attributes:
        rings: number of rays of each ring; the first ring has the most, a multiple of the others.
        filters: width of the circular layers.
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
            ValueError: if a ring's count does not divide the first one's.
        """
        if any(rings[0] % count for count in rings):
            raise ValueError(f"rings: expected counts that divide {rings[0]}, got {rings}")
        self.rings, self.glances = rings, glances
        self.outputs = glances * (2 + len(rings)) + dense
        self.near = nnx.Linear(WIDTH * (len(rings) + 2), filters, rngs=rngs)
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
        circle = self._circle(rays)
        angle = 2 * jnp.pi * jnp.arange(self.rings[0], dtype=rays.dtype) / self.rings[0]
        compass = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
        along = compass @ goal[..., :, None]
        across = compass @ jnp.stack([-goal[..., 1], goal[..., 0]], axis=-1)[..., :, None]
        seen = jnp.concatenate([circle, along, across], axis=-1)
        hidden = lecun_tanh(self.near(_around(seen, 1)))
        hidden = lecun_tanh(self.wide(_around(hidden, 3)))
        looks = jax.nn.softmax(3 * self.looks(hidden), axis=-2)
        shown = jnp.concatenate([jnp.broadcast_to(compass, (*circle.shape[:-1], 2)), circle], -1)
        glances = jnp.einsum("...kg,...kf->...gf", looks, shown)
        flat = glances.reshape(*glances.shape[:-2], -1)
        return jnp.concatenate([flat, lecun_tanh(self.plain(rays))], axis=-1)

    def _circle(self, rays: Float[Array, "*batch rays"]) -> Float[Array, "*batch around rings"]:
        """Rings side by side; coarse ones repeat their rays."""
        columns, first = [], 0
        for count in self.rings:
            ring = rays[..., first : first + count]
            columns.append(jnp.repeat(ring, self.rings[0] // count, axis=-1))
            first += count
        return jnp.stack(columns, axis=-1)


def _around(values: Float[Array, "*batch k f"], stride: int) -> Float[Array, "*batch k g"]:
    """Each direction with its neighbours on both sides, `stride` apart, side by side."""
    reach = range(-(WIDTH // 2), WIDTH // 2 + 1)
    return jnp.concatenate([jnp.roll(values, -stride * i, axis=-2) for i in reach], axis=-1)
