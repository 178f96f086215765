"""Every environment keeps gymnasium's contract, and the same seed gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from types import MappingProxyType
from typing import Any

import env_rig
import flying
import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sim import CF2X, FAMILIES, Disturbance, EngineError, TwinEngine
from sim.bullet import BulletEngine, pybullet
from sim.env import ENV_IDS, CommandLimits, DroneEnv, EnvError, Reward, env_id, registry
from sim.world import Cylinder

POST = Cylinder((1.0, 0.0, 1.5), 0.2, 3.0)
AHEAD = np.array([0.4, 0.0, 0.0, 0.0], np.float32)


def check(env: Any, **options: Any) -> None:
    """Gymnasium's checker, its warnings being errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, **options)


@pytest.fixture(scope="module")
def hall() -> DroneEnv:
    return env_rig.make()


def test_every_family_has_an_environment():
    assert len(ENV_IDS) == len(set(ENV_IDS)) == len(FAMILIES)
    for family in FAMILIES:
        spec = gymnasium.spec(env_id(family))
        assert spec.kwargs == {"family": family} and spec.nondeterministic is False


def test_a_family_that_is_added_gets_its_environment(monkeypatch):
    grown = {**FAMILIES, "dark_caves": FAMILIES["forest"]}
    monkeypatch.setattr(registry, "FAMILIES", MappingProxyType(grown))
    registry.register_all()
    try:
        assert gymnasium.spec("lnn_nav/DarkCaves-v0").kwargs == {"family": "dark_caves"}
    finally:
        gymnasium.registry.pop("lnn_nav/DarkCaves-v0")


@pytest.mark.parametrize("name", ENV_IDS)
def test_check_env_has_nothing_to_say(name):
    check(gymnasium.make(name, rays=env_rig.FEW_RAYS))


@pytest.mark.parametrize("observation", ["dict", "flat"])
@pytest.mark.parametrize("action", env_rig.ACTIONS)
def test_check_env_whatever_is_commanded_and_seen(action, observation):
    env = env_rig.make(action=action, observation=observation)
    check(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("action", env_rig.ACTIONS)
def test_check_env_on_the_twin(action):
    check(env_rig.make(action=action, engine="twin"), skip_render_check=True)


class Boastful(DroneEnv):
    """Sees farther than its space says."""

    def _observed(self) -> Any:
        return {**super()._observed(), "target": np.full(3, 301.0, np.float32)}


def test_check_env_sees_an_observation_out_of_its_space():
    with pytest.raises((AssertionError, UserWarning)):
        check(Boastful(world=flying.open_world(), rays=env_rig.FEW_RAYS))


def test_the_same_seed_gives_the_same_bits_here_and_in_another_process():
    env = gymnasium.make(env_rig.FOREST, rays=env_rig.FEW_RAYS)
    first = env_rig.episode(env, 7)
    env_rig.episode(env, 8)
    assert env_rig.episode(env, 7) == first != env_rig.episode(env, 8)
    run = subprocess.run(
        [sys.executable, env_rig.__file__, "7"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"episode {first}" in run.stdout


def test_a_seed_is_a_world_and_the_worlds_after_it():
    env = env_rig.make(world=None, seeds=(50, 53))
    assert [env.config.world_seed(seed) for seed in (0, 2, 3, 10**12)] == [50, 52, 50, 51]
    worlds = []
    for seed in (0, 1, 1):
        _, info = env.reset(seed=seed)
        assert info["world_seed"] == 50 + seed
        worlds.append([env.reset()[1]["world_seed"] for _ in range(3)])
    assert worlds[1] == worlds[2] and {50, 51, 52} >= set(sum(worlds, []))
    assert env.reset(options={"world_seed": 9})[1]["world_seed"] == 9
    assert env.reset(options={"same_world": True})[1]["world_seed"] == 9
    for options in ({"world_seed": -1}, {"world_seed": 1.5}, {"wrold": 1}):
        with pytest.raises(EnvError, match="options"):
            env.reset(options=options)


def test_families_that_are_never_trained_on_use_the_seeds_of_development():
    assert DroneEnv(family="forest").config.span == (0, 1_000_000)
    assert DroneEnv(family="walls").config.span == (1_000_000, 2_000_000)


def test_the_same_world_is_not_built_again(hall):
    hall.reset(seed=0)
    stands = hall._place
    hall.step(AHEAD)
    hall.reset(seed=1)
    assert hall._place is stands and hall.state.velocity.tolist() == [0, 0, 0]
    windy = env_rig.make(seeds=(0, 9), disturbance=Disturbance(wind=1.0))
    windy.reset(seed=0)
    stands = windy._place
    windy.reset(options={"same_world": True})
    assert windy._place is stands
    windy.reset(seed=1)
    assert windy._place is not stands and windy._place.engine.wind != stands.engine.wind


DISTURBED = ("gust", "sway", "inertia_error", "start_offset", "position_noise", "range_bias")


@pytest.mark.parametrize("field", DISTURBED)
def test_no_disturbance_is_passed_over(field):
    """Each changes what is seen or flown, as it does in a flight, and the same each time."""

    def seen(**disturbance):
        env = env_rig.make(disturbance=Disturbance(wind=1.0, **disturbance))
        rows = [np.concatenate([v.ravel() for v in env.reset(seed=0)[0].values()])]
        turn = np.array([0.6, -0.5, 0.1, 0.4], np.float32)
        for _ in range(3):
            rows.append(np.concatenate([v.ravel() for v in env.step(turn)[0].values()]))
        env.close()
        return np.array(rows)

    calm, spoilt = seen(), seen(**{field: 0.2})
    assert not np.array_equal(calm, spoilt) and np.isfinite(spoilt).all()
    np.testing.assert_array_equal(spoilt, seen(**{field: 0.2}))


@pytest.mark.parametrize("engine", ["pybullet", "twin"])
def test_the_environment_flies_what_its_engine_flies(engine):
    env = env_rig.make(action="forces", normalised=False, engine=engine, control_hz=60)
    env.reset(seed=0)
    build = BulletEngine if engine == "pybullet" else TwinEngine
    # One engine like that of the environment, and one of a heavier drone.
    options = {} if engine == "pybullet" else {"pad": (96, 8, 8)}
    with build(CF2X, env.config.world, **options) as same:
        with build(CF2X, env.config.world, mass_scale=1.01, **options) as other:
            draws = np.random.default_rng(0)
            for _ in range(30):
                forces = (CF2X.hover_force * draws.uniform(0.9, 1.1, 4)).astype(np.float32)
                _, _, over, _, info = env.step(forces)
                for _ in range(4):
                    state, contact = same.step(forces)
                    heavier, _ = other.step(forces)
                assert not over and not contact
                np.testing.assert_array_equal(info["position"], state.position)
            assert abs(heavier.position - state.position).max() > 1e-3


@pytest.mark.parametrize(
    ("outcome", "world", "action"),
    [
        ("reached", {}, [0.4, 0.04, 0.0, 0.0]),
        ("contact", {"obstacles": (POST,)}, [0.4, 0.0, 0.0, 0.0]),
        ("out_of_bounds", {}, [-0.9, 0.0, 0.0, 0.0]),
        ("timeout", {"time_limit": 0.51}, [0.0, 0.0, 0.0, 0.0]),
    ],
)
@pytest.mark.parametrize("engine", ["pybullet", "twin"])
def test_every_end_has_its_name_and_its_reward(engine, outcome, world, action):
    weights = Reward(progress=2.0, arrival=5.0, crash=3.0, time=0.25)
    env = env_rig.make(world=flying.open_world(**world), engine=engine, reward=weights)
    seen, info = env.reset(seed=0)
    target = np.array(env.config.world.target)
    first, total = np.linalg.norm(target - info["position"]), 0.0
    assert np.linalg.norm(seen["target"]) == pytest.approx(first, rel=1e-6)
    for _ in range(400):
        assert info["outcome"] == "flying"
        seen, reward, over, late, info = env.step(np.array(action, np.float32))
        total += reward
        if over or late:
            break
    assert info["outcome"] == outcome and info["contact"] == (outcome == "contact")
    assert (over, late) == (outcome != "timeout", outcome == "timeout")
    last = np.linalg.norm(target - info["position"])
    worth = {"reached": 5.0, "contact": -3.0, "out_of_bounds": -3.0, "timeout": 0.0}[outcome]
    assert total == pytest.approx(2.0 * (first - last) - 0.25 * info["time"] + worth)
    with pytest.raises(EnvError, match="reset"):
        env.step(AHEAD)


def test_via_points_come_first():
    world = flying.open_world(via=((0.0, 2.0, 1.5),), obstacles=())
    env = env_rig.make(world=world, engine="twin")
    seen, _ = env.reset(seed=0)
    np.testing.assert_allclose(seen["target"], [0, 2, 0], atol=1e-6)
    total = 0.0
    while seen["target"][0] < 1:
        seen, reward, *_ = env.step(np.array([0, 0.5, 0, 0], np.float32))
        total += reward
    # Up to the rim of the via point, and by as much as that cuts the corner.
    assert 1.6 < total < 2.4


@pytest.mark.parametrize("delay", [0.0, 3 / 48])
def test_what_is_seen_is_as_old_as_the_delay_says(delay):
    env = env_rig.make(disturbance=Disturbance(delay=delay), seeds=(4, 5))
    seen, info = env.reset(seed=0)
    heights = [info["position"][2]]
    for _ in range(8):
        seen, _, _, _, info = env.step(np.array([0, 0, 0.5, 0], np.float32))
        heights.append(info["position"][2])
    assert seen["state"][9] == pytest.approx(heights[-1 - round(48 * delay)], rel=1e-6)
    assert heights[-1] - heights[-4] > 0.01


def test_lost_returns_read_as_lost():
    env = env_rig.make(disturbance=Disturbance(drop=0.5))
    seen, _ = env.reset(seed=0)
    for _ in range(20):
        seen, *_ = env.step(AHEAD)
        lost = seen["ranges"] == -1
        assert seen in env.observation_space
        assert (lost | (seen["ranges"] >= 0)).all()
    assert lost.any() and not lost.all()


@pytest.mark.parametrize("action", env_rig.ACTIONS)
def test_every_observation_lies_in_its_space(action):
    env = env_rig.make(
        world=flying.open_world(time_limit=1.5), action=action, observation="flat", seeds=(0, 1)
    )
    env.action_space.seed(1)
    for _ in range(2):
        seen, _ = env.reset(options={"same_world": True})
        over = late = False
        while not (over or late):
            assert env.observation_space.contains(seen) and np.isfinite(seen).all()
            seen, reward, over, late, _ = env.step(env.action_space.sample())
            assert np.isfinite(reward)
        assert env.observation_space.contains(seen)


def test_flat_and_dict_are_the_same_numbers():
    flat, parts = env_rig.make(observation="flat"), env_rig.make()
    one, _ = flat.reset(seed=3)
    other, _ = parts.reset(seed=3)
    np.testing.assert_array_equal(one, gymnasium.spaces.flatten(parts.observation_space, other))


def test_a_server_that_was_killed_is_told_and_replaced(hall):
    hall.reset(seed=0)
    pybullet.disconnect(hall._place.engine.client)
    with pytest.raises(EngineError):
        hall.step(AHEAD)
    _, info = hall.reset(seed=0)
    assert info["outcome"] == "flying" and not hall.step(AHEAD)[2]


def test_a_picture_shows_the_drone_and_changes_as_it_flies():
    env = env_rig.make(render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    for _ in range(30):
        env.step(AHEAD)
    then = env.render()
    assert first.shape == (240, 320, 3) and first.std() > 10
    assert (first != then).mean() > 0.05
    env.close()
    env.close()
    with pytest.raises(EnvError, match="reset"):
        env.render()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("family", "jungle"),
        ("engine", "mujoco"),
        ("action", "rpm"),
        ("action", ["velocity"]),
        ("observation", "pixels"),
        ("world", "world.json"),
        ("rays", 12),
        ("control_hz", 0),
        ("control_hz", -48),
        ("control_hz", 100),
        ("control_hz", 48.0),
        ("control_hz", float("nan")),
        ("seeds", (3, 3)),
        ("seeds", (-1, 3)),
        ("seeds", 7),
        ("speed", float("nan")),
        ("density", -1),
        ("disturbance", None),
        ("airframe", "cf2x"),
        ("normalised", 1),
        ("render_mode", "ansi"),
        ("colour", "red"),
    ],
)
def test_a_bad_option_is_named(field, value):
    with pytest.raises(EnvError, match=f"^{field}: expected"):
        DroneEnv(**{field: value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True])
def test_a_bad_weight_or_limit_is_named(value):
    with pytest.raises(EnvError, match="reward.arrival"):
        Reward(arrival=value)
    with pytest.raises(EnvError, match="limits.speed"):
        CommandLimits(speed=value)
