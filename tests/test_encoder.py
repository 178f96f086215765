"""The encoder: the same filters in every direction, and a batch is nothing but its rows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lnn_nav.encoder import RingEncoder

RINGS, FILTERS, GLANCES, DENSE = (72, 36, 36), 12, 6, 16
ENCODER = RingEncoder(RINGS, FILTERS, GLANCES, DENSE, rngs=nnx.Rngs(0))
encode = nnx.jit(lambda encoder, rays, goal: encoder(rays, goal))


def rays_and_goal(seed: int, *batch: int) -> tuple[jax.Array, jax.Array]:
    draws = np.random.default_rng(seed)
    angle = draws.uniform(-np.pi, np.pi, batch)
    goal = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    rays = draws.uniform(-0.4, 1.6, (*batch, sum(RINGS)))
    return jnp.asarray(rays, jnp.float32), jnp.asarray(goal, jnp.float32)


def turned(rays: jax.Array, goal: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    """The same place for a nose turned right by `steps` of the 36 directions."""
    rings, first = [], 0
    for count in RINGS:
        rings.append(jnp.roll(rays[first : first + count], steps * count // 36))
        first += count
    return jnp.concatenate(rings), turn(steps) @ goal


def turn(steps: int) -> jax.Array:
    angle = 2 * np.pi * steps / 36
    c, s = np.cos(angle), np.sin(angle)
    return jnp.asarray([[c, -s], [s, c]], jnp.float32)


def test_a_batch_is_its_rows():
    rays, goal = rays_and_goal(0, 2, 3)
    together = encode(ENCODER, rays, goal)
    assert together.shape == (2, 3, ENCODER.outputs)
    for index in np.ndindex(2, 3):
        alone = encode(ENCODER, rays[index], goal[index])
        np.testing.assert_allclose(together[index], alone, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 9, 17, 35])
def test_glances_turn_with_the_world(steps):
    """Where they look turns, how far they see does not; the plain layer is the control."""
    rays, goal = rays_and_goal(1)
    straight = encode(ENCODER, rays, goal)
    around = encode(ENCODER, *turned(rays, goal, steps))
    split = GLANCES * (ENCODER.outputs - DENSE) // GLANCES
    first, second = (x[:split].reshape(GLANCES, -1) for x in (straight, around))
    np.testing.assert_allclose(second[:, 2:], first[:, 2:], atol=1e-4)
    np.testing.assert_allclose(second[:, :2], first[:, :2] @ turn(steps).T, atol=1e-4)
    assert jnp.abs(around[split:] - straight[split:]).max() > 1e-2


def test_a_glance_is_a_mean_of_what_is_there():
    """In a round room every glance sees the wall where it is."""
    _, goal = rays_and_goal(2)
    seen = encode(ENCODER, jnp.full(sum(RINGS), 0.7), goal)[:-DENSE].reshape(GLANCES, -1)
    np.testing.assert_allclose(seen[:, 2:], 0.7, atol=1e-5)
    assert (jnp.linalg.norm(seen[:, :2], axis=1) <= 1 + 1e-5).all()


def test_rings_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="rings: expected multiples of 36"):
        RingEncoder((72, 36, 40), FILTERS, GLANCES, DENSE, rngs=nnx.Rngs(0))
