"""Physics servers killed behind an engine's back: an error that names it, and nothing is left."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import env_rig
import flying
import numpy as np
import pytest

from sim import CF2X, at_rest, fly
from sim.bullet import BulletEngine, pybullet
from sim.engine import EngineError
from sim.swarm import BulletSwarm

HALL = flying.open_world(time_limit=0.25)


def servers() -> set[int]:
    """Physics servers of this process, by their numbers."""
    return {client for client in range(1024) if pybullet.isConnected(client)}


@contextmanager
def none_left() -> Iterator[None]:
    gc.collect()  # What other tests have dropped must not go in between.
    before = servers()
    yield
    assert servers() == before


class Killer(flying.Plain):
    """Ends the physics server that its flight began with, at its tenth tick."""

    def __init__(self) -> None:
        super().__init__()
        self.others = servers()

    def act(self, memory: dict, wish: Any, state: Any) -> tuple[dict, Any, dict]:
        memory, forces, record = super().act(memory, wish, state)
        count = memory.get("count", 0) + 1
        if count == 10:
            (own,) = servers() - self.others
            pybullet.disconnect(own)
        return memory | {"count": count}, forces, record


def test_a_server_killed_in_flight_is_named_and_leaves_nothing():
    with none_left():
        with pytest.raises(EngineError, match="^physics server: expected it to answer, got: "):
            fly(HALL, Killer(), "pybullet")
        assert fly(HALL, flying.Plain(), "pybullet").outcome == "timeout"
    # The negative control: an engine that is not closed is seen.
    lost = BulletEngine(CF2X, HALL)
    with pytest.raises(AssertionError), none_left():
        lost.close()


@pytest.mark.parametrize("many", [False, True])
def test_who_lost_a_server_leaves_the_next_one_of_its_number_alone(many):
    """PyBullet gives a free number to the next server that is started."""
    start = at_rest(np.tile(HALL.start_position, (2, 1)) + [[0.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    hover = [CF2X.hover_force] * 4
    with none_left():
        first = BulletSwarm(CF2X, HALL, 2) if many else BulletEngine(CF2X, HALL)
        first.reset(start if many else None)
        number = first.client
        pybullet.disconnect(number)
        with pytest.raises(EngineError):
            first.step(np.array([hover, hover]) if many else hover)
        with BulletEngine(CF2X, HALL) as other:
            assert other.client == number
            moved = other.step([0.08] * 4)[0].position
            with pytest.raises(EngineError, match=re.escape("physics server: ")):
                first.reset(start if many else None)
            first.close()
            assert other.step([0.08] * 4)[0].position[2] > moved[2]


def test_an_environment_whose_server_was_killed_begins_anew_beside_another():
    with none_left():
        env, neighbour = env_rig.make(), env_rig.make()
        still = np.zeros(4)
        env.reset(seed=0)
        pybullet.disconnect(env._place.engine.client)
        with pytest.raises(EngineError, match="^physics server: "):
            env.step(still)
        neighbour.reset(seed=0)
        env.reset(seed=0)
        for one in (env, neighbour):
            seen, _, over, *_ = one.step(still)
            assert one.observation_space.contains(seen) and not over
        env.close()
        neighbour.close()
