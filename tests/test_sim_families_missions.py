"""Missions are worlds as arrays, and suites are seeds in a fixed order."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.families import FamilyError, generate
from sim.mission import (
    DEVELOPMENT_SEEDS,
    FINAL_SEEDS,
    TRAINING_SEEDS,
    Mission,
    mission_of,
    stack_missions,
    suite,
)
from sim.scene import signed_distance
from sim.state import yaw_of
from sim.world import World


def with_vias(count: int) -> World:
    values = vars(generate("forest", 3))
    return World(**{**values, "via": tuple((float(i), 1.0, 1.5) for i in range(count))})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mission_holds_the_numbers_of_its_world(dtype):
    world = generate("mixed", 11)
    mission = mission_of(world, dtype)
    counts = jax.tree.leaves(mission)
    assert all(leaf.dtype == (dtype if leaf.dtype != jnp.int32 else jnp.int32) for leaf in counts)
    close = {"rtol": np.finfo(dtype).eps}
    np.testing.assert_allclose(mission.start.position, world.start_position, **close)
    np.testing.assert_allclose(yaw_of(mission.start.quaternion), world.start_yaw, rtol=1e-5)
    assert not mission.start.velocity.any() and not mission.start.angular_velocity.any()
    np.testing.assert_allclose(mission.targets, [world.target], **close)
    np.testing.assert_allclose(mission.bounds, world.bounds, **close)
    for name in ("speed", "time_limit", "target_radius"):
        np.testing.assert_allclose(getattr(mission, name), getattr(world, name), **close)
    assert mission.target_count == 1


def test_stacked_missions_are_padded_alike():
    worlds = [generate("forest", 0), with_vias(2), generate("dense_forest", 1)]
    missions = [mission_of(world, np.float64) for world in worlds]
    stacked = stack_missions(missions)
    assert isinstance(stacked, Mission)
    assert {leaf.shape[0] for leaf in jax.tree.leaves(stacked)} == {3}
    assert stacked.targets.shape == (3, 3, 3)
    np.testing.assert_array_equal(stacked.target_count, [1, 3, 1])
    np.testing.assert_allclose(stacked.targets[0], [worlds[0].target] * 3)
    np.testing.assert_allclose(stacked.targets[1], [*worlds[1].via, worlds[1].target])
    points = np.random.default_rng(0).uniform(0, 4, (20, 3))
    distance = jax.jit(lambda mission: signed_distance(mission.scene, points))
    together = jax.jit(jax.vmap(distance))(stacked)
    np.testing.assert_allclose(together, [distance(m) for m in missions], atol=1e-13)
    with pytest.raises(ValueError, match="missions: expected at least one"):
        stack_missions([])


def test_seed_ranges_do_not_overlap():
    assert (TRAINING_SEEDS, DEVELOPMENT_SEEDS) == (range(1_000_000), range(1_000_000, 2_000_000))
    assert FINAL_SEEDS == range(2_000_000, 3_000_000)


def test_suites_split_evenly_in_order():
    assert suite(("walls", "mixed"), 5, 5) == [
        ("walls", 5),
        ("walls", 6),
        ("walls", 7),
        ("mixed", 5),
        ("mixed", 6),
    ]
    assert len(suite(("forest", "blocks", "boulders"), 2_000_000, 600)) == 600
    assert suite(("forest", "blocks"), 0, 1) == [("forest", 0)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("forest", "woods"), 0, 5), "family: expected one of"),
        ((("forest", "forest"), 0, 5), "families: expected each name once"),
        (((), 0, 5), "families: expected each name once"),
        ((("forest",), -1, 5), "first_seed: expected 0 or more"),
        ((("forest",), 0, 0), "count: expected 1 or more"),
    ],
)
def test_bad_suites_are_refused(arguments, message):
    with pytest.raises(FamilyError, match=message):
        suite(*arguments)
