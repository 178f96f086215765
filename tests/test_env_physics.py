"""Options of the physics in environments and campaigns: those of the engines, none passed over."""

from __future__ import annotations

import dataclasses
from typing import Any

import env_rig
import flying
import numpy as np
import pytest
from test_env_vector import COUNT, assert_alike, vector
from test_sim_campaign import bits

from sim import CF2X, Battery, Physics, Rotors, TwinEngine, fly, verdict
from sim.bullet import BulletEngine
from sim.campaign import Result, Terms
from sim.campaign.worker import Worker
from sim.env import EnvError

EVERYTHING = Physics(
    drag=True,
    ground_effect=True,
    downwash=True,
    rotors=Rotors(2, 0.03, (1.0, 0.97, 1.0, 0.97), Battery(used=0.3)),
)
LOW = flying.open_world(start_position=(0.0, 0.0, 0.3))


@pytest.mark.parametrize("engine", ["pybullet", "twin"])
def test_an_environment_has_the_physics_of_its_engine(engine):
    options: dict[str, Any] = {"action": "forces", "normalised": False, "engine": engine}
    env = env_rig.make(**options, physics=EVERYTHING, world=LOW)
    env.reset(seed=0)
    build = BulletEngine if engine == "pybullet" else TwinEngine
    given = {} if engine == "pybullet" else {"pad": (96, 8, 8)}
    forces = (CF2X.hover_force * np.array([1.2, 1.1, 1.1, 1.2])).astype(np.float32)
    with build(CF2X, LOW, physics=EVERYTHING, **given) as same, build(CF2X, LOW, **given) as plain:
        for _ in range(10):
            *_, info = env.step(forces)
            for _ in range(env.config.ticks):
                state, other = same.step(forces)[0], plain.step(forces)[0]
            np.testing.assert_array_equal(info["position"], state.position)
    # The negative control: without the options it is another flight.
    assert abs(other.position - state.position).max() > 1e-3
    # What rotors remember does not outlive the episode.
    env.reset(seed=0)
    again = env.step(forces)[4]["position"]
    env.reset(seed=0)
    np.testing.assert_array_equal(env.step(forces)[4]["position"], again)
    env.close()


def test_a_batch_has_the_physics_of_single_environments():
    """Over several episodes each, so that the rotors of a new one are new as well."""
    ours, theirs = (vector(mode, density=2.0, physics=EVERYTHING) for mode in (None, "sync"))
    assert assert_alike(ours, theirs, 120) >= 2
    plain = vector(None, density=2.0)
    for env in (ours, plain):
        env.reset(seed=5)
        *_, info = env.step(np.full((COUNT, 4), 0.2, np.float32))
        env.told = info["position"]
    assert abs(ours.told - plain.told).max() > 1e-6
    theirs.close()


def test_physics_that_cannot_be_is_refused():
    bare = dataclasses.replace(CF2X, drag_coefficients=(0.0, 0.0, 0.0))
    with pytest.raises(EnvError, match=r"^physics\.drag: expected an airframe with drag_coeff"):
        env_rig.make(physics=Physics(drag=True), airframe=bare)
    with pytest.raises(EnvError, match="^physics: expected a Physics, got 'windy'"):
        env_rig.make(physics="windy")
    pytest.importorskip("pettingzoo")
    from sim.env import parallel_env

    with pytest.raises(EnvError, match="^physics: expected none here"):
        parallel_env(2, physics=EVERYTHING)


def test_a_campaign_flies_the_physics_of_its_terms():
    world = flying.open_world()
    terms = Terms(engine="twin", world=world, physics=EVERYTHING)
    result = Worker(flying.plain, terms).fly(("mine", 1))
    flight = fly(world, flying.Plain(), "twin", physics=EVERYTHING, family="mine", seed=1)
    assert bits(result) == bits(Result("mine", 1, verdict(flight), "", world.speed, world.length))
    plain = Worker(flying.plain, Terms(engine="twin", world=world)).fly(("mine", 1))
    assert result.verdict and plain.verdict and result.verdict.path_m != plain.verdict.path_m
    # Campaigns that were begun before there was physics in their terms go on.
    assert Terms().to_dict()["physics"] is None
    assert terms.to_dict()["physics"]["rotors"]["battery"]["used"] == 0.3
