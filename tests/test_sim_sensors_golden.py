"""With the new disturbances off, sights, draws and flights are bit by bit what they were."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sights_rig
from scene_samples import crowd

from sim.airframe import CF2X
from sim.belief import Belief
from sim.conditions import Conditions, start_in
from sim.engine import start_of
from sim.scene import ray_distance, scene_of
from sim.sensors import CALM, Disturbance, look
from sim.state import rotate

GOLDEN = json.loads((Path(__file__).parent / "golden" / "sights.json").read_text())


def test_the_old_draws_are_what_they_were():
    assert sights_rig.draws() == GOLDEN["draws"]


def test_old_sights_are_what_they_were():
    now, then = sights_rig.sights(), GOLDEN["sights"]
    assert len(now) == len(then)
    for new, old in zip(now, then, strict=True):
        assert (new["tick"], new["wait"], new["valid"]) == (old["tick"], old["wait"], old["valid"])
        # The golden file may come from a machine that rounds a ray in another way.
        np.testing.assert_allclose(new["ranges"], old["ranges"], rtol=2e-6)
    # The rays do meet something, and the noise is in the file.
    assert np.ptp([row["ranges"][-1] for row in then]) > 1e-3


def test_old_flights_are_what_they_were():
    for engine, end in sights_rig.flights().items():
        then = GOLDEN["flights"][engine]
        assert (end["ticks"], end["valid"]) == (then["ticks"], then["valid"])
        np.testing.assert_allclose(end["position"], then["position"], atol=1e-7)


def former_look(pattern, scene, state, noise, key):
    """The whole of `look` as it was before there were other errors."""
    dtype = scene.bounds.dtype
    directions = rotate(state.quaternion.astype(dtype), jnp.asarray(pattern.directions, dtype))
    ranges = ray_distance(scene, state.position.astype(dtype), directions, pattern.max_range)
    if key is None:
        return ranges, jnp.ones(ranges.shape, bool)
    spread, loss = jax.random.split(key)
    noisy = ranges * (1 + noise.range_noise * jax.random.normal(spread, ranges.shape, dtype))
    noisy = jnp.where(ranges < pattern.max_range, jnp.clip(noisy, 0, None), ranges)
    valid = jax.random.uniform(loss, ranges.shape) >= noise.drop
    return jnp.minimum(noisy, pattern.max_range), valid


@pytest.mark.parametrize("noise", [CALM, sights_rig.ROUGH])
def test_a_sight_is_bit_equal_to_the_former_one(noise):
    world = crowd()
    scene, state = scene_of(world), start_of(world).as_jax()
    key = None if noise == CALM else jax.random.PRNGKey(3)
    sight = jax.jit(look, static_argnums=(0, 3))(sights_rig.FAN, scene, state, noise, key)
    ranges, valid = jax.jit(former_look, static_argnums=(0, 3))(
        sights_rig.FAN, scene, state, noise, key
    )
    np.testing.assert_array_equal(sight.ranges, ranges)
    np.testing.assert_array_equal(sight.valid, valid)
    jax.tree.map(np.testing.assert_array_equal, sight.state, state)


def test_what_is_off_is_not_there():
    """Nothing is drawn, added or compiled for a disturbance of zero."""
    world, rough = crowd(), sights_rig.ROUGH
    conditions = Conditions.draw(rough, 5)
    assert conditions.air(rough, 5, world) is None
    assert conditions.airframe(CF2X) is CF2X
    assert start_in(rough, 5, world, CF2X) is None
    state = start_of(world)
    assert Belief(rough, 5, state).of(state, 0) is state


@pytest.mark.parametrize("name", list(vars(CALM)))
def test_every_disturbance_is_off_by_default_and_refuses_what_it_cannot_be(name):
    assert getattr(CALM, name) == 0
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"^{name}: expected a finite number >= 0, got"):
            Disturbance(**{name: bad})


def test_fractions_and_angles_have_a_most():
    for name in ("mass_error", "drop", "inertia_error"):
        with pytest.raises(ValueError, match=f"^{name}: expected a fraction below 1"):
            Disturbance(**{name: 1.0})
    for name, bad in (("start_tilt", 3.2), ("blind", 6.3)):
        with pytest.raises(ValueError, match=f"^{name}: expected at most"):
            Disturbance(**{name: bad})
