"""Starts that cannot be: refused by the name of the field, or a contact at once."""

from __future__ import annotations

import dataclasses
import math

import flying
import numpy as np
import pytest

from sim import CF2X, Box, TwinEngine, at_rest, twin
from sim.bullet import BulletEngine
from sim.engine import EngineInputError, EngineTypeError
from sim.fields import WorldError
from sim.swarm import BulletSwarm

NAN, INF = math.nan, math.inf
HALL = flying.open_world(time_limit=0.25)
ENGINES = {"pybullet": BulletEngine, "twin": TwinEngine}
NAMES = sorted(ENGINES)
FIELDS = {"position": 3, "velocity": 3, "quaternion": 4, "angular_velocity": 3}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", FIELDS)
def test_a_bad_start_is_refused_by_the_name_of_its_field(name, field):
    size = FIELDS[field]
    one = np.eye(size)[-1]
    with ENGINES[name](CF2X, HALL) as engine:
        before = engine.reset()
        for value, error in (
            (one * NAN, EngineInputError),
            (one + np.array([INF] + [0.0] * (size - 1)), EngineInputError),
            (one[:-1], EngineInputError),
            (one[None], EngineInputError),
            (one + 0j, EngineTypeError),
            (one.astype(object), EngineTypeError),
            (one.astype(str), EngineTypeError),
        ):
            start = at_rest(np.array(HALL.start_position)).replace(**{field: value})
            with pytest.raises(error, match=f"^{field}: expected .*got "):
                engine.reset(start)
        np.testing.assert_array_equal(engine.reset().position, before.position)


def test_bad_starts_of_a_swarm_are_refused():
    places = np.array([[0.0, 0.0, 1.5], [0.0, 0.5, 1.5]])
    with BulletSwarm(CF2X, HALL, 2) as swarm:
        for value, error in ((places * NAN, EngineInputError), (places + 0j, EngineTypeError)):
            with pytest.raises(error, match="^position: expected"):
                swarm.reset(at_rest(places).replace(position=value))


SOLID = {
    "the ground": (0.5, 0.5, 0.03),
    "below it": (0.5, 0.5, -0.5),
    "a post": (1.0, 1.5, 1.5),
    "its rim": (1.0, 1.15, 1.5),
    "a box": (-1.0, -1.5, 0.5),
}
ROOM = flying.open_world(
    obstacles=(*HALL.obstacles, Box((-1.0, -1.5, 0.5), (0.3, 0.3, 0.5), 0.0)),
    bounds=((-2.0, -4.0, -1.0), (6.0, 4.0, 3.0)),
)


@pytest.mark.parametrize("place", SOLID)
def test_a_world_that_starts_in_something_solid_is_refused(place):
    with pytest.raises(WorldError, match=r"^start\.position: expected"):
        dataclasses.replace(ROOM, start_position=SOLID[place])
    for bad in (NAN, INF):
        with pytest.raises(WorldError, match=r"^start\.position\[1\]: expected"):
            dataclasses.replace(ROOM, start_position=(0.0, bad, 1.5))


@pytest.mark.parametrize("place", SOLID)
@pytest.mark.parametrize("name", NAMES)
def test_a_start_in_something_solid_is_a_contact_at_once(name, place):
    """In the first tick, so that no flight goes on from it; what follows is finite and bounded."""
    with ENGINES[name](CF2X, ROOM) as engine:
        engine.reset(at_rest(np.array(SOLID[place])))
        steps = [engine.step([CF2X.hover_force] * 4) for _ in range(48)]
    assert steps[0][1]
    for state, _ in steps:
        assert all(np.isfinite(value).all() for value in vars(state).values())
        assert np.abs(state.velocity).max() <= twin.SPEED_LIMIT
