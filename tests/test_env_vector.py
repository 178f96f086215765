"""Batches are as many single environments: gymnasium's sync and async, and ours on the twin."""

from __future__ import annotations

from typing import Any

import env_rig
import flying
import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from sim import CALM, Disturbance
from sim.env import ActionError, EnvConfig, EnvError, TwinVectorEnv
from sim.env.worlds import Worlds

HARD = Disturbance(wind=1.0, mass_error=0.1, range_noise=0.02, drop=0.1)
COUNT = 3


def vector(mode: str | None, **options: Any) -> Any:
    shared = {"rays": env_rig.FEW_RAYS, "engine": "twin", "seeds": (0, 4)}
    options = {**shared, "disturbance": HARD, **options}
    return gymnasium.make_vec(env_rig.FOREST, num_envs=COUNT, vectorization_mode=mode, **options)


def assert_alike(ours: Any, theirs: Any, steps: int) -> int:
    """Observations, rewards, ends, worlds and info; how many episodes ended."""
    (seen, info), (wanted, told) = ours.reset(seed=5), theirs.reset(seed=5)
    draws, ends = np.random.default_rng(0), 0
    for _ in range(steps):
        for name, part in wanted.items():
            np.testing.assert_allclose(seen[name], part, atol=1e-5)
            assert seen[name].dtype == part.dtype
        assert info.keys() == told.keys()
        for name in ("outcome", "fault", "world_seed", "limit_violations", "contact"):
            assert info[name].dtype == told[name].dtype
            np.testing.assert_array_equal(info[name], told[name])
        np.testing.assert_allclose(info["position"], told["position"], atol=1e-9)
        actions = (draws.uniform(-1.1, 1.1, (COUNT, 4)) * 0.3 + [1, 0, 0, 0]).astype(np.float32)
        seen, rewards, over, late, info = ours.step(actions)
        wanted, hoped, *others, told = theirs.step(actions)
        np.testing.assert_allclose(rewards, hoped, atol=1e-9)
        np.testing.assert_array_equal([over, late], others)
        ends += int((over | late).sum())
    return ends


def test_a_batch_is_as_many_single_environments():
    """Also in wind, with other masses, noisy rays and lost ones; over several episodes each."""
    ours, theirs = (vector(mode, density=2.0) for mode in (None, "sync"))
    assert isinstance(ours, TwinVectorEnv)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert assert_alike(ours, theirs, 170) >= 2
    theirs.close()


def test_a_batch_in_another_air_is_another():
    """The negative control: what is compared would tell a small difference."""
    windy = Disturbance(wind=1.01, mass_error=0.1, range_noise=0.02, drop=0.1)
    ours, theirs = vector(None, density=2.0), vector("sync", density=2.0, disturbance=windy)
    with pytest.raises(AssertionError):
        assert_alike(ours, theirs, 40)
    theirs.close()


def test_an_ended_episode_begins_anew_in_the_next_step():
    assert TwinVectorEnv.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    env = vector(None, world=flying.open_world(time_limit=0.3), seeds=(0, 1))
    env.reset(seed=0)
    still = np.zeros((COUNT, 4), np.float32)
    for step in range(1, 33):
        seen, rewards, over, late, info = env.step(still)
        ended = step in (15, 31)
        assert (late == ended).all() and not over.any()
        if step == 16:
            assert (info["time"] == 0).all() and (rewards == 0).all()
            assert (info["outcome"] == "flying").all()


def test_a_mask_resets_some_and_leaves_the_others_alone():
    env = vector(None)
    env.reset(seed=0)
    ahead = np.tile(np.array([0.5, 0, 0, 0], np.float32), (COUNT, 1))
    for _ in range(5):
        seen, *_, info = env.step(ahead)
    mask = np.array([False, True, False])
    again, told = env.reset(seed=[None, 9, None], options={"reset_mask": mask})
    np.testing.assert_array_equal(told["world_seed"], [0, 1, 2])
    np.testing.assert_array_equal(told["time"] == 0, mask)
    for name in seen:
        np.testing.assert_array_equal(again[name][~mask], seen[name][~mask])
    assert (again["state"][mask] != seen["state"][mask]).any()


def test_calm_worlds_of_every_shape():
    ours, theirs = (vector(mode, family="mixed", disturbance=CALM) for mode in (None, "sync"))
    assert_alike(ours, theirs, 20)
    theirs.close()


def test_rows_of_the_stack_are_replaced_one_by_one():
    """Whatever was put before, the stack is that of its seeds; rows that need room get it."""
    config = EnvConfig(family="forest", density=3.0, engine="twin")
    trunks = {seed: len(config.world_of(seed).obstacles) for seed in range(14)}
    few = [seed for seed, count in trunks.items() if count <= 96]
    many = next(seed for seed, count in trunks.items() if count > 96)
    worlds, rows = Worlds(config, 5), dict(enumerate(few[:5]))
    worlds.put(rows)
    for row, seed, room in ((3, few[5], 96), (1, many, 192), (0, few[5], 192)):
        worlds.put({row: seed})
        rows[row] = seed
        fresh = Worlds(config, 5)
        fresh.put(rows)
        assert worlds.seeds == tuple(rows.values())
        assert worlds.stack.mission.scene.cylinders.radius.shape == (5, room)
        jax.tree.map(np.testing.assert_array_equal, worlds.stack, fresh.stack)


def test_asynchronous_environments_are_the_synchronous_ones():
    """In fresh processes: a fork of a process in which jax has threads can hang."""
    options = {"engine": "pybullet", "rays": env_rig.FEW_RAYS}
    sync = gymnasium.make_vec(env_rig.FOREST, 2, "sync", **options)
    other = gymnasium.make_vec(
        f"sim.env:{env_rig.FOREST}", 2, "async", vector_kwargs={"context": "spawn"}, **options
    )
    try:
        seen, wanted = other.reset(seed=3)[0], sync.reset(seed=3)[0]
        actions = np.array([[0.5, 0, 0, 0], [0, 0.5, 0, 0]], np.float32)
        for _ in range(3):
            for name, part in wanted.items():
                np.testing.assert_allclose(seen[name], part, atol=1e-6)
            seen, rewards, *_ = other.step(actions)
            wanted, hoped, *_ = sync.step(actions)
            np.testing.assert_allclose(rewards, hoped, atol=1e-9)
    finally:
        other.close()
        sync.close()


def test_bad_actions_of_a_batch():
    env = vector(None)
    with pytest.raises(EnvError, match="reset"):
        env.step(np.zeros((COUNT, 4)))
    env.reset(seed=0)
    for shape in ((4,), (COUNT, 3), (COUNT + 1, 4)):
        with pytest.raises(ActionError, match="^action: expected shape"):
            env.step(np.zeros(shape))
    actions = np.zeros((COUNT, 4))
    actions[0, 1], actions[1, 2] = np.nan, 7.0
    seen, rewards, *_, info = env.step(actions)
    assert info["fault"].tolist() == ["not_finite", "out_of_range", ""]
    assert info["limit_violations"].tolist() == [1, 1, 0]
    assert env.observation_space.contains(seen) and np.isfinite(rewards).all()


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("engine", {"engine": "pybullet"}),
        ("disturbance.delay", {"disturbance": Disturbance(delay=0.1)}),
        ("disturbance.jitter", {"disturbance": Disturbance(jitter=0.1)}),
        ("num_envs", {"num_envs": 0}),
        ("render_mode", {"render_mode": "rgb_array"}),
        ("colour", {"colour": 1}),
    ],
)
def test_what_a_batch_cannot_do_is_named(field, options):
    with pytest.raises(EnvError, match=f"^{field}: expected"):
        TwinVectorEnv(**options)


def test_bad_resets_of_a_batch_are_named():
    env = vector(None)
    with pytest.raises(EnvError, match="seed: expected 3"):
        env.reset(seed=[1, 2])
    for mask in (np.ones(2, bool), np.ones(3, int), np.zeros(3, bool), [True] * 3):
        with pytest.raises(EnvError, match="reset_mask"):
            env.reset(options={"reset_mask": mask})
    with pytest.raises(EnvError, match="first time"):
        env.reset(options={"reset_mask": np.array([True, False, False])})
    with pytest.raises(EnvError, match="options.world"):
        env.reset(options={"world": 1})
