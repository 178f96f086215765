"""Many drones in one world: each flies as if alone, until they meet."""

from __future__ import annotations

import sys
import warnings

import env_rig
import flying
import numpy as np
import pytest

from sim import CF2X, EngineError, EngineInputError, State, at_rest
from sim.bullet import BulletEngine, pybullet
from sim.env import EnvError, MissingExtra, parallel_env
from sim.swarm import BulletSwarm

HALL = flying.open_world(obstacles=(), time_limit=1.0)


def side_by_side(count: int, gap: float) -> State:
    places = np.zeros((count, 3))
    places[:, 1], places[:, 2] = gap * (np.arange(count) - (count - 1) / 2), 1.5
    return at_rest(places)


@pytest.mark.parametrize("wind", [(0.0, 0.0, 0.0), (1.0, -0.5, 0.2)])
def test_each_drone_of_a_swarm_flies_as_if_alone(wind):
    """By the drone of `BulletEngine`, in the same air; a drone of another mass does not."""
    draws = np.random.default_rng(0)
    forces = CF2X.hover_force * draws.uniform(0.9, 1.1, (60, 3, 4))
    starts = side_by_side(3, 1.0)
    with BulletSwarm(CF2X, HALL, 3, wind=wind) as swarm:
        swarm.reset(starts)
        flown = [swarm.step(rows)[0] for rows in forces]
    for i in range(3):
        with BulletEngine(CF2X, HALL, wind=wind) as alone:
            alone.reset(State(*(value[i] for value in vars(starts).values())))
            for rows, states in zip(forces, flown, strict=True):
                state, _ = alone.step(rows[i])
                for name, value in vars(state).items():
                    np.testing.assert_allclose(getattr(states, name)[i], value, atol=1e-12)
    with BulletSwarm(CF2X, HALL, 3, wind=wind, mass_scale=1.01) as heavy:
        heavy.reset(starts)
        other = [heavy.step(rows)[0] for rows in forces][-1]
    assert abs(other.position - flown[-1].position).max() > 1e-3


def test_drones_touch_when_their_spheres_do_and_not_once_one_has_left():
    with BulletSwarm(CF2X, HALL, 3) as swarm:
        for gap, touch in ((0.121, False), (0.119, True)):
            states = side_by_side(3, 1.0)
            states.position[1, 1] = states.position[0, 1] + gap
            swarm.reset(states)
            hover = np.full((3, 4), CF2X.hover_force)
            assert swarm.step(hover)[1].tolist() == [touch, touch, False]
        swarm.reset(states)
        swarm.leave(1)
        _, contacts = swarm.step(hover)
        assert not contacts.any() and swarm.flying.tolist() == [True, False, True]
        swarm.reset(states)
        assert swarm.flying.all() and swarm.step(hover)[1].any()


def test_a_swarm_flies_the_same_bits_after_a_crash():
    forces = CF2X.hover_force * np.random.default_rng(1).uniform(0.8, 1.2, (40, 2, 4))

    def flight(swarm: BulletSwarm) -> bytes:
        swarm.reset(side_by_side(2, 0.13))
        return b"".join(swarm.step(rows)[0].position.tobytes() for rows in forces)

    with BulletSwarm(CF2X, HALL, 2) as swarm, BulletSwarm(CF2X, HALL, 2) as fresh:
        first = flight(swarm)
        swarm.reset(side_by_side(2, 0.05))
        swarm.leave(1)
        swarm.step(forces[0])
        assert flight(swarm) == first == flight(fresh)


def test_bad_swarms_are_named():
    with pytest.raises(EngineInputError, match="count"):
        BulletSwarm(CF2X, HALL, 0)
    with BulletSwarm(CF2X, HALL, 2) as swarm:
        with pytest.raises(EngineInputError, match="position"):
            swarm.reset(side_by_side(3, 1.0))
        swarm.reset(side_by_side(2, 1.0))
        with pytest.raises(EngineInputError, match="forces"):
            swarm.step(np.zeros((1, 4)))
        pybullet.disconnect(swarm.client)
        with pytest.raises(EngineError):
            swarm.step(np.zeros((2, 4)))


def test_without_pettingzoo_one_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    monkeypatch.delitem(sys.modules, "sim.env.multi", raising=False)
    with pytest.raises(MissingExtra, match=r"\[swarm\]"):
        parallel_env()


@pytest.fixture
def crowd():
    pytest.importorskip("pettingzoo")
    env = parallel_env(3, world=HALL, rays=env_rig.FEW_RAYS)
    yield env
    env.close()


def test_the_parallel_api(crowd):
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(crowd, num_cycles=120)
        parallel_seed_test(lambda: parallel_env(2, world=HALL, rays=env_rig.FEW_RAYS), 20)


def test_drones_see_each_other_and_only_while_they_are_there(crowd):
    seen, _ = crowd.reset(seed=0)
    # On the ring of three, the second and the third see the first ahead of them, on one side.
    nearest = {name: part["ranges"].min() for name, part in seen.items()}
    alone = parallel_env(1, world=HALL, rays=env_rig.FEW_RAYS)
    assert alone.reset(seed=0)[0]["drone_0"]["ranges"].min() > 3
    alone.close()
    assert min(nearest.values()) < 1.1
    swarm = crowd._swarm
    for drone in range(3):
        swarm.leave(drone)
    seen, _ = crowd._told(range(3), np.zeros(3, bool), [0] * 3)
    assert min(part["ranges"].min() for part in seen.values()) > 3


def test_drones_that_meet_crash_and_leave(crowd):
    """Told to fly into each other, two of them end in contact; the third flies on."""
    _, infos = crowd.reset(seed=0)
    places = {name: info["position"] for name, info in infos.items()}
    while crowd.agents and crowd.agents != ["drone_0"]:
        actions = {}
        for name in crowd.agents:
            goal = (places["drone_1"] + places["drone_2"]) / 2
            way = np.clip(goal - infos[name]["position"], -0.3, 0.3)
            away = [0.2, 0.0, 0.0]
            actions[name] = np.append(way if name != "drone_0" else away, 0).astype(np.float32)
        seen, rewards, over, late, told = crowd.step(actions)
        infos |= told
    assert crowd.agents == ["drone_0"]
    for name in ("drone_1", "drone_2"):
        assert infos[name]["outcome"] == "contact" and infos[name]["contact"]
        assert over[name] and not late[name] and rewards[name] < -9
    assert infos["drone_0"]["outcome"] == "flying"
    seen, *_ = crowd.step({"drone_0": np.zeros(4)})
    assert list(seen) == ["drone_0"]


def test_one_drone_of_a_crowd_is_the_single_environment():
    pytest.importorskip("pettingzoo")
    world = flying.open_world()
    crowd, single = (build(world=world, rays=env_rig.FEW_RAYS) for build in (alone, env_rig.make))
    seen, wanted = crowd.reset(seed=0)[0]["drone_0"], single.reset(seed=0)[0]
    action = np.array([0.4, 0.1, 0.0, 0.2], np.float32)
    for _ in range(20):
        for name, part in wanted.items():
            np.testing.assert_allclose(seen[name], part, atol=2e-6)
        told, reward, *_ = crowd.step({"drone_0": action})
        seen = told["drone_0"]
        wanted, hoped, *_ = single.step(action)
        assert reward["drone_0"] == pytest.approx(hoped)
    crowd.close()


def alone(**options):
    return parallel_env(1, **options)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("drones", {"drones": 0}),
        ("drones", {"drones": 25}),
        ("engine", {"engine": "twin"}),
        ("disturbance.delay", {"disturbance": env_rig.LATE}),
    ],
)
def test_what_a_crowd_cannot_be_is_named(field, options):
    pytest.importorskip("pettingzoo")
    with pytest.raises(EnvError, match=f"^{field}: expected"):
        parallel_env(**options)


def test_a_start_without_room_is_named():
    pytest.importorskip("pettingzoo")
    low = flying.open_world(start_position=(0.0, 0.0, 0.3))
    with pytest.raises(EnvError, match="^drones: expected room for 16"):
        parallel_env(16, world=low).reset()
